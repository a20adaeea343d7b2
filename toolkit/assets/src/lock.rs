//! `bastide.lock`: every package of every SDK, pinned.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use bastide_recipe::files;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Error, definition};

/// The version of the format.
const VERSION: u32 = 1;

const HEADER: &str = "\
# Every Debian package that a build takes, pinned. Made by `./bastide assets relock`
# from products/base/sdk/; archive signatures were checked when it was made. Do not
# edit: change the definitions and relock.

";

/// The lock as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Lock {
    version: u32,
    /// What the definitions said when the lock was made: a hash for each name.
    #[serde(default)]
    pub(crate) definitions: BTreeMap<String, String>,
    /// Sorted by name and version.
    #[serde(rename = "package", default)]
    pub packages: Vec<Package>,
}

/// One pinned package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture, or `all`.
    pub architecture: String,
    /// The source package it is built from, with the source's version.
    pub source: String,
    /// The suite in which it was found.
    pub suite: String,
    /// Its place below the mirror.
    pub path: String,
    /// Its size, in bytes.
    pub size: u64,
    /// Its SHA-256.
    pub sha256: String,
    /// The SDKs and sets of files that hold it.
    pub sdks: BTreeSet<String>,
}

impl Package {
    /// Name, version and architecture, for people.
    pub fn title(&self) -> String {
        format!("{} {} ({})", self.name, self.version, self.architecture)
    }

    /// The name of its file.
    pub fn file_name(&self) -> &str {
        self.path.rsplit('/').next().unwrap_or(&self.path)
    }
}

impl Lock {
    /// A lock of these packages, those found for several SDKs joined.
    pub(crate) fn new(
        definitions: BTreeMap<String, String>,
        found: impl IntoIterator<Item = Package>,
    ) -> Self {
        let mut packages = BTreeMap::<_, Package>::new();
        for package in found {
            let key = (
                package.name.clone(),
                package.version.clone(),
                package.architecture.clone(),
            );
            match packages.entry(key) {
                std::collections::btree_map::Entry::Occupied(mut present) => {
                    present.get_mut().sdks.extend(package.sdks);
                }
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(package);
                }
            }
        }
        Self {
            version: VERSION,
            definitions,
            packages: packages.into_values().collect(),
        }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// When it is missing, malformed or of another version.
    pub fn load(path: &Path) -> Result<Self, Error> {
        let lock: Self = definition::parse(path)?;
        if lock.version != VERSION {
            return Err(Error::Version {
                path: path.to_owned(),
                found: lock.version,
                known: VERSION,
            });
        }
        Ok(lock)
    }

    /// Writes the lock, as a whole or not at all.
    ///
    /// # Errors
    /// When the directory is not writable.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let text = toml::to_string(self)
            .map_err(std::io::Error::other)
            .map_err(Error::file("write", path))?;
        files::write_atomically(path, format!("{HEADER}{text}").as_bytes())?;
        // The temporary file was private; the lock is a file of the tree.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(path, mode).map_err(Error::file("set the mode of", path))
    }

    /// The packages of one SDK or set of files.
    ///
    /// # Errors
    /// When there are none.
    pub fn of(&self, name: &str) -> Result<Vec<&Package>, Error> {
        let packages = self
            .packages
            .iter()
            .filter(|package| package.sdks.contains(name))
            .collect::<Vec<_>>();
        if packages.is_empty() {
            return Err(Error::Unlocked { name: name.into() });
        }
        Ok(packages)
    }

    /// What identifies one SDK or set of files: its packages, and how it is made.
    pub(crate) fn key(&self, name: &str, making: &str) -> Result<String, Error> {
        let mut hash = Sha256::new();
        hash.update(making);
        for package in self.of(name)? {
            hash.update(format!(
                "\n{} {} {} {}",
                package.name, package.version, package.architecture, package.sha256
            ));
        }
        Ok(hex::encode(hash.finalize()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, sdk: &str) -> Package {
        Package {
            name: name.into(),
            version: "1".into(),
            architecture: "all".into(),
            source: format!("{name} 1"),
            suite: "stable".into(),
            path: format!("pool/{name}_1_all.deb"),
            size: 1,
            sha256: "0".repeat(64),
            sdks: BTreeSet::from([sdk.to_owned()]),
        }
    }

    #[test]
    fn a_lock_survives_being_written_and_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::new(
            BTreeMap::new(),
            [
                package("b", "one"),
                package("a", "one"),
                package("a", "two"),
            ],
        );
        lock.save(&path).unwrap();
        assert_eq!(Lock::load(&path).unwrap(), lock);
        assert_eq!(lock.packages.len(), 2);
        assert_eq!(lock.of("one").unwrap().len(), 2);
        assert!(matches!(lock.of("three"), Err(Error::Unlocked { .. })));
    }

    #[test]
    fn a_key_covers_its_own_packages_only() {
        let lock = Lock::new(BTreeMap::new(), [package("a", "one"), package("b", "two")]);
        let more = Lock::new(
            BTreeMap::new(),
            [
                package("a", "one"),
                package("b", "two"),
                package("c", "two"),
            ],
        );
        assert_eq!(lock.key("one", "x").unwrap(), more.key("one", "x").unwrap());
        assert_ne!(lock.key("two", "x").unwrap(), more.key("two", "x").unwrap());
        assert_ne!(lock.key("one", "x").unwrap(), lock.key("one", "y").unwrap());
        let mut other = package("a", "one");
        other.sha256 = "1".repeat(64);
        let other = Lock::new(BTreeMap::new(), [other]);
        assert_ne!(
            lock.key("one", "x").unwrap(),
            other.key("one", "x").unwrap()
        );
    }

    #[test]
    fn another_version_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        fs::write(&path, "version = 2\n").unwrap();
        assert!(matches!(
            Lock::load(&path),
            Err(Error::Version { found: 2, .. })
        ));
    }
}
