//! Which Debian package a file belongs to, from dpkg's own records.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::{Component, Path, PathBuf};

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
    /// SHA-256 of the package's file, where it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// A set of unpacked packages that knows which file is whose.
#[derive(Debug)]
pub struct PackageSet {
    packages: Vec<Package>,
    /// Path, relative to the root, to place in `packages`.
    owners: HashMap<PathBuf, usize>,
}

/// An unpacked package, as the toolkit's assets describe it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Unpacked {
    name: String,
    version: String,
    architecture: String,
    /// "name version" of the source package.
    source: String,
    sha256: String,
    files: Vec<String>,
}

impl PackageSet {
    /// Reads the description of a set: a list of packages with their files.
    ///
    /// # Errors
    /// When it cannot be read or is something else.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = fs::read(path).map_err(Error::file("read", path))?;
        let unpacked: Vec<Unpacked> =
            serde_json::from_slice(&text).map_err(|source| Error::Json {
                path: path.to_owned(),
                source,
            })?;
        let mut packages = Vec::new();
        let mut owners = HashMap::new();
        for package in unpacked {
            for file in package.files {
                owners.insert(merged(Path::new(&file)), packages.len());
            }
            let (source, source_version) = match package.source.split_once(' ') {
                Some((source, version)) => (source.to_owned(), version.to_owned()),
                None => (package.source, package.version.clone()),
            };
            packages.push(Package {
                name: package.name,
                version: package.version,
                architecture: package.architecture,
                source,
                source_version,
                sha256: Some(package.sha256),
            });
        }
        Ok(Self { packages, owners })
    }

    /// The package that a path, relative to the root, belongs to.
    #[must_use]
    pub fn owner(&self, path: &Path) -> Option<&Package> {
        self.packages.get(*self.owners.get(&merged(path))?)
    }
}

/// The packages installed in the Debian root file system at `root`, by name.
///
/// # Errors
/// When its records cannot be read.
pub fn installed(root: &Path) -> Result<BTreeMap<String, Package>, Error> {
    let status = root.join("var/lib/dpkg/status");
    let text = fs::read_to_string(&status).map_err(Error::file("read", &status))?;
    Ok(parse_status(&text)
        .map(|package| (package.name.clone(), package))
        .collect())
}

/// `lib64/...` is `usr/lib64/...` since /usr is merged.
pub(crate) fn merged(path: &Path) -> PathBuf {
    match path.components().next() {
        Some(Component::Normal(first)) if first == "lib" || first == "lib64" => {
            Path::new("usr").join(path)
        }
        _ => path.to_owned(),
    }
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
            sha256: None,
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
        let place = tempfile::tempdir().expect("temporary directory");
        let list = place.path().join("packages.json");
        let package = |name: &str, file: &str| {
            format!(
                r#"{{"name": "{name}", "version": "2", "architecture": "amd64",
                "source": "src 1", "sha256": "00", "files": ["{file}"]}}"#
            )
        };
        let text = [
            package("libc6", "lib/x/libc.so.6"),
            package("libgcc-s1", "usr/lib/x/libgcc_s.so.1"),
        ];
        fs::write(&list, format!("[{}]", text.join(","))).expect("list");
        let set = PackageSet::read(&list).expect("a set");
        for (path, owner) in [
            ("usr/lib/x/libc.so.6", Some("libc6")),
            ("lib/x/libc.so.6", Some("libc6")),
            ("lib/x/libgcc_s.so.1", Some("libgcc-s1")),
            ("usr/lib/x/libm.so.6", None),
        ] {
            let found = set.owner(Path::new(path));
            assert_eq!(found.map(|package| package.name.as_str()), owner, "{path}");
        }
        let found = set.owner(Path::new("lib/x/libc.so.6")).expect("owner");
        assert_eq!(
            (found.source.as_str(), found.source_version.as_str()),
            ("src", "1")
        );
    }
}
