//! Which Debian package a file belongs to, from dpkg's own records.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::Error;

/// An installed binary package.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// The source package it was built from.
    pub source: String,
    /// That source package's version.
    pub source_version: String,
}

/// The records of a Debian root file system.
#[derive(Debug)]
pub struct Database {
    packages: BTreeMap<String, Package>,
    owners: HashMap<PathBuf, String>,
}

impl Database {
    /// Reads `var/lib/dpkg` below `root`.
    ///
    /// # Errors
    /// When the records cannot be read.
    pub fn read(root: &Path) -> Result<Self, Error> {
        let records = root.join("var/lib/dpkg");
        let status = records.join("status");
        let text = fs::read_to_string(&status).map_err(Error::file("read", &status))?;
        let packages: BTreeMap<String, Package> = parse_status(&text)
            .map(|package| (package.name.clone(), package))
            .collect();
        let mut owners = HashMap::new();
        for package in packages.values() {
            let lists = records.join("info");
            // Packages that several architectures may share have it in the name.
            let plain = lists.join(format!("{}.list", package.name));
            let qualified = lists.join(format!("{}:{}.list", package.name, package.architecture));
            let list = if plain.exists() { plain } else { qualified };
            let text = fs::read_to_string(&list).map_err(Error::file("read", &list))?;
            for path in text.lines() {
                owners.insert(unmerged(Path::new(path)), package.name.clone());
            }
        }
        Ok(Self { packages, owners })
    }

    /// The package that a path (as in the file system, with leading slash)
    /// belongs to.
    #[must_use]
    pub fn owner(&self, path: &Path) -> Option<&Package> {
        self.packages.get(self.owners.get(&unmerged(path))?)
    }

    /// An installed package by name.
    #[must_use]
    pub fn package(&self, name: &str) -> Option<&Package> {
        self.packages.get(name)
    }
}

/// Old packages list `/lib/...` where the file is `/usr/lib/...`.
fn unmerged(path: &Path) -> PathBuf {
    for merged in ["/lib", "/lib64", "/bin", "/sbin"] {
        if let Ok(rest) = path.strip_prefix(merged) {
            return Path::new("/usr").join(&merged[1..]).join(rest);
        }
    }
    path.to_owned()
}

fn parse_status(text: &str) -> impl Iterator<Item = Package> {
    text.split("\n\n").filter_map(|paragraph| {
        let field = |name: &str| {
            paragraph.lines().find_map(|line| {
                let value = line.strip_prefix(name)?.strip_prefix(':')?;
                Some(value.trim().to_owned())
            })
        };
        if field("Status")? != "install ok installed" {
            return None;
        }
        let (name, version) = (field("Package")?, field("Version")?);
        // "Source: name" or "Source: name (version)"; neither when both are equal.
        let source = field("Source").unwrap_or_else(|| name.clone());
        let (source, source_version) = match source.split_once(" (") {
            Some((source, rest)) => (source.to_owned(), rest.trim_end_matches(')').to_owned()),
            None => (source, version.clone()),
        };
        Some(Package {
            name,
            version,
            architecture: field("Architecture")?,
            source,
            source_version,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATUS: &str = "\
Package: libc6
Status: install ok installed
Architecture: amd64
Multi-Arch: same
Source: glibc
Version: 2.41-12
Description: GNU C Library
 with a second line

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1

Package: libgcc-s1
Status: install ok installed
Architecture: amd64
Source: gcc-14 (14.2.0-19)
Version: 14.2.0-19+b1
";

    #[test]
    fn reads_names_versions_and_sources() {
        let packages: Vec<Package> = parse_status(STATUS).collect();
        assert_eq!(packages.len(), 2);
        assert_eq!(packages[0].source, "glibc");
        assert_eq!(packages[0].source_version, "2.41-12");
        assert_eq!(packages[1].source, "gcc-14");
        assert_eq!(packages[1].source_version, "14.2.0-19");
    }

    #[test]
    fn finds_owners_on_both_sides_of_the_merge() {
        let root = tempfile::tempdir().expect("temporary directory");
        let info = root.path().join("var/lib/dpkg/info");
        fs::create_dir_all(&info).expect("directories");
        fs::write(root.path().join("var/lib/dpkg/status"), STATUS).expect("status");
        fs::write(info.join("libc6:amd64.list"), "/.\n/lib/x/libc.so.6\n").expect("list");
        fs::write(info.join("libgcc-s1.list"), "/usr/lib/x/libgcc_s.so.1\n").expect("list");
        let database = Database::read(root.path()).expect("database");
        for (path, owner) in [
            ("/usr/lib/x/libc.so.6", Some("libc6")),
            ("/lib/x/libc.so.6", Some("libc6")),
            ("/lib/x/libgcc_s.so.1", Some("libgcc-s1")),
            ("/usr/lib/x/libm.so.6", None),
        ] {
            let found = database.owner(Path::new(path));
            assert_eq!(found.map(|package| package.name.as_str()), owner, "{path}");
        }
    }
}
