//! The crates of `Cargo.lock`.

use std::fs;
use std::path::{Path, PathBuf};

use bastide_recipe::sha256_of_file;
use serde::Deserialize;

use crate::{Error, definition};

/// One crate from a registry.
pub(crate) struct Crate {
    /// `<name>-<version>.crate`.
    pub file_name: String,
    /// SHA-256 of that file.
    pub sha256: String,
}

#[derive(Deserialize)]
struct CargoLock {
    #[serde(default)]
    package: Vec<CargoPackage>,
}

#[derive(Deserialize)]
struct CargoPackage {
    name: String,
    version: String,
    /// Only what comes from a registry has one.
    checksum: Option<String>,
}

/// The unpacked crates of a checkout, made by the `./bastide` script.
pub(crate) fn vendored(tree: &Path, cache: &Path) -> Result<(PathBuf, String), Error> {
    let key = sha256_of_file(&tree.join("Cargo.lock"))?;
    let path = cache.join("crates").join(&key);
    if fs::metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
        Ok((path, key))
    } else {
        Err(Error::NoCrates { path })
    }
}

/// The crates that `Cargo.lock` names.
pub(crate) fn locked(tree: &Path) -> Result<Vec<Crate>, Error> {
    let lock: CargoLock = definition::parse(&tree.join("Cargo.lock"))?;
    Ok(lock
        .package
        .into_iter()
        .filter_map(|package| {
            Some(Crate {
                file_name: format!("{}-{}.crate", package.name, package.version),
                sha256: package.checksum?,
            })
        })
        .collect())
}
