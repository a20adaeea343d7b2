//! Where each file of the Core came from: `origins.json`.

use serde::{Deserialize, Serialize};

use crate::dpkg::Package;

/// The whole list, sorted by path.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Origins {
    /// Version of the format: 1.
    pub version: u32,
    /// Every file, symbolic link and directory but the root.
    pub entries: Vec<Entry>,
}

/// One path of the Core.
// serde cannot both flatten and deny unknown fields.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Entry {
    /// The path inside the Core, without leading slash.
    pub path: String,
    /// What lies there.
    #[serde(flatten)]
    pub kind: Kind,
    /// Where it came from.
    pub origin: Origin,
}

/// What lies at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Kind {
    /// A regular file, owned by root.
    File {
        /// Permission bits in octal.
        mode: String,
        /// Its size in bytes.
        size: u64,
        /// SHA-256 of its content.
        sha256: String,
    },
    /// A symbolic link.
    Link {
        /// Where it leads.
        target: String,
    },
    /// A directory, owned by root, mode 0755.
    Directory,
}

/// Where something came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Origin {
    /// A Debian package.
    Package(Package),
    /// A step of the build, from a crate of the tree when it is a program.
    Step {
        /// The step's name.
        step: String,
        /// The crate.
        #[serde(rename = "crate", skip_serializing_if = "Option::is_none")]
        package: Option<String>,
    },
    /// A file of the tree, as it is there.
    Tree {
        /// Its path in the tree.
        file: String,
    },
    /// Rendered by the toolkit.
    Rendered {
        /// From this file of the tree.
        file: String,
    },
    /// The layout that every Core has.
    Layout,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_entry_is_read_as_it_was_written() {
        let file = Kind::File {
            mode: "0644".to_owned(),
            size: 1,
            sha256: "00".to_owned(),
        };
        let link = Kind::Link {
            target: "a".to_owned(),
        };
        let step = Origin::Step {
            step: "core-programs".to_owned(),
            package: Some("bastide-init".to_owned()),
        };
        let tree = Origin::Tree {
            file: "core/console/service.toml".to_owned(),
        };
        let kinds = [
            (file, step),
            (link, tree),
            (Kind::Directory, Origin::Layout),
        ];
        let origins = Origins {
            version: 1,
            entries: kinds
                .into_iter()
                .map(|(kind, origin)| Entry {
                    path: "usr".to_owned(),
                    kind,
                    origin,
                })
                .collect(),
        };
        let text = serde_json::to_string(&origins).expect("writable");
        let read: Origins = serde_json::from_str(&text).expect("readable");
        assert_eq!(read, origins);
    }
}
