//! What an SDK is made of, as written by people: `products/base/debian.toml` and
//! `products/base/sdk/<name>.toml`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::Error;

/// The Debian release and the suites in force.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Debian {
    /// Code name of the release.
    pub release: String,
    /// Debian's name of the architecture.
    pub architecture: String,
    /// OpenPGP keys that may sign the suites, on the host.
    pub keyring: std::path::PathBuf,
    /// The suites, the release first.
    pub suites: Vec<Suite>,
}

/// One suite of an archive.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Suite {
    /// As in `dists/<name>`.
    pub name: String,
    /// Which archive serves it.
    #[serde(default)]
    pub archive: Archive,
}

/// Debian's archives; a mirror may have them at different places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Archive {
    /// Everything but security updates.
    #[default]
    Main,
    /// Security updates.
    Security,
}

/// One SDK, or set of packages.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Definition {
    /// What it is for.
    #[serde(rename = "description")]
    pub _description: String,
    /// How its packages are used.
    #[serde(default)]
    pub kind: Kind,
    /// The packages asked for; what they depend on comes with them. One `*` at the
    /// end stands for the newest.
    pub packages: Vec<String>,
    /// Packages (patterns as in apt_preferences(5)) taken from the backports
    /// suite, each with its reason.
    #[serde(default)]
    pub backports: BTreeMap<String, String>,
}

/// How the packages of a definition are used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// Installed, with Debian's essential packages: steps run in it.
    #[default]
    System,
    /// Only unpacked: their files are taken.
    Files,
}

impl Debian {
    pub(crate) fn load(tree: &Path) -> Result<Self, Error> {
        parse(&tree.join("products/base/debian.toml"))
    }
}

impl Definition {
    /// A hash over what decides which packages are taken; comments do not.
    pub(crate) fn fingerprint(&self, debian: &Debian) -> String {
        let mut packages = self.packages.iter().collect::<Vec<_>>();
        packages.sort();
        let backports = self.backports.keys().collect::<Vec<_>>();
        let suites = debian.suites.iter().map(|suite| &suite.name);
        let text = format!(
            "{} {} {:?} {:?} {packages:?} {backports:?}",
            debian.release,
            debian.architecture,
            suites.collect::<Vec<_>>(),
            self.kind,
        );
        hex::encode(Sha256::digest(text))
    }

    /// All definitions by name.
    pub(crate) fn load_all(tree: &Path) -> Result<BTreeMap<String, Self>, Error> {
        let directory = tree.join("products/base/sdk");
        let mut definitions = BTreeMap::new();
        let list = || Error::file("list", &directory);
        for entry in fs::read_dir(&directory).map_err(list())? {
            let path = entry.map_err(list())?.path();
            if path
                .extension()
                .is_some_and(|extension| extension == "toml")
                && let Some(name) = path.file_stem().and_then(|stem| stem.to_str())
            {
                definitions.insert(name.to_owned(), parse(&path)?);
            }
        }
        Ok(definitions)
    }
}

pub(crate) fn parse<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    toml::from_str(&text).map_err(|source| Error::Syntax {
        path: path.to_owned(),
        source: Box::new(source),
    })
}

/// Of names `<prefix><version>`, the one with the highest version: the numbers
/// between its dots compared as numbers.
pub(crate) fn newest<'name>(
    pattern: &str,
    names: impl Iterator<Item = &'name str>,
) -> Option<&'name str> {
    let prefix = pattern.strip_suffix('*')?;
    names
        .filter_map(|name| {
            let rest = name.strip_prefix(prefix)?;
            let version = rest
                .split('.')
                .map(str::parse::<u32>)
                .collect::<Result<Vec<_>, _>>()
                .ok()?;
            Some((version, name))
        })
        .max()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_found_by_number() {
        let names = [
            "linux-source-7.3",
            "linux-source-7.10",
            "linux-source-7.10-extra",
            "linux-source-6.12",
        ];
        let newest = |pattern| newest(pattern, names.into_iter());
        assert_eq!(newest("linux-source-7.*"), Some("linux-source-7.10"));
        assert_eq!(newest("linux-source-8.*"), None);
        assert_eq!(newest("linux-source-7.3"), None);
    }

    #[test]
    fn an_unknown_key_is_refused() {
        let text = "description = \"x\"\npackages = []\npackagse = []\n";
        assert!(toml::from_str::<Definition>(text).is_err());
    }
}
