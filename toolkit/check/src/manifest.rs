//! What each crate of the tree declares: its dependencies, its lints, its licence, its unsafe code.

use std::path::{Path, PathBuf};

use cargo_metadata::MetadataCommand;

/// Crates that may hold unsafe code, as ARCHITECTURE.md names them.
const UNSAFE_ROOMS: &[&str] = &["base/sys"];

/// The licence of our own code.
const LICENCE: &str = "LGPL-2.1-or-later";

/// Why the manifests could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `cargo metadata` failed, as it does for a manifest with a mistake in it.
    #[error("reading the workspace with cargo metadata")]
    Metadata(#[from] cargo_metadata::Error),
    /// A file of the tree could not be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A manifest is not TOML.
    #[error("parsing {path}")]
    Parse {
        /// The manifest.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
}

/// Every departure of a member crate from the rules of the tree, as sentences.
///
/// # Errors
/// When the workspace or one of its files cannot be read.
pub fn violations(tree: &Path) -> Result<Vec<String>, Error> {
    let metadata = MetadataCommand::new()
        .manifest_path(tree.join("Cargo.toml"))
        .no_deps()
        .exec()?;
    let mut found = Vec::new();
    for package in metadata.workspace_packages() {
        let manifest = package.manifest_path.as_std_path();
        let home = manifest
            .parent()
            .and_then(|home| {
                home.strip_prefix(metadata.workspace_root.as_std_path())
                    .ok()
            })
            .unwrap_or(Path::new("?"))
            .display()
            .to_string();
        let text = read(manifest)?;
        let table: toml::Table = toml::from_str(&text).map_err(|source| Error::Parse {
            path: manifest.to_owned(),
            source: Box::new(source),
        })?;
        found.extend(
            undeclared(&table)
                .into_iter()
                .map(|name| format!("{home}: {name} must come from [workspace.dependencies]")),
        );
        if !inherits_lints(&table) {
            found.push(format!(
                "{home}: its manifest lacks `[lints] workspace = true`"
            ));
        }
        if package.license.as_deref() != Some(LICENCE) {
            found.push(format!("{home}: its licence is not {LICENCE}"));
        }
        if UNSAFE_ROOMS.contains(&home.as_str()) {
            continue;
        }
        for target in &package.targets {
            let root = target.src_path.as_std_path();
            if !read(root)?.contains("#![forbid(unsafe_code)]") {
                found.push(format!("{}: lacks #![forbid(unsafe_code)]", root.display()));
            }
        }
    }
    Ok(found)
}

/// Dependencies of a manifest that do not say `workspace = true`.
fn undeclared(manifest: &toml::Table) -> Vec<String> {
    ["dependencies", "dev-dependencies", "build-dependencies"]
        .iter()
        .filter_map(|section| manifest.get(*section)?.as_table())
        .flatten()
        .filter(|(_, value)| value.get("workspace").and_then(toml::Value::as_bool) != Some(true))
        .map(|(name, _)| name.clone())
        .collect()
}

fn inherits_lints(manifest: &toml::Table) -> bool {
    manifest
        .get("lints")
        .and_then(|lints| lints.get("workspace"))
        .and_then(toml::Value::as_bool)
        == Some(true)
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::{inherits_lints, undeclared};

    fn manifest(text: &str) -> toml::Table {
        toml::from_str(text).expect("the sample is TOML")
    }

    #[test]
    fn a_version_of_ones_own_is_found() {
        let table = manifest("[dependencies]\nserde = \"1\"\nhex.workspace = true\n");
        assert_eq!(undeclared(&table), ["serde"]);
    }

    #[test]
    fn lints_must_be_the_workspaces() {
        assert!(inherits_lints(&manifest("[lints]\nworkspace = true\n")));
        assert!(!inherits_lints(&manifest(
            "[lints.rust]\nunsafe_code = \"allow\"\n"
        )));
    }
}
