//! A key set kept as files.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bastide_recipe::{Input, Source};
use uuid::Uuid;

use crate::{Certificate, Error, KeyAccess, Role, Signer};

/// The file that holds the owner's GUID.
pub(crate) const OWNER: &str = "owner.guid";

/// A directory with `<name>.key` and `<name>.crt` for each [`Role`], and the
/// owner's GUID. Its private keys are never read here.
#[derive(Clone, Debug)]
pub struct KeyDirectory {
    directory: PathBuf,
    owner: Uuid,
    certificates: BTreeMap<Role, Certificate>,
}

impl KeyDirectory {
    /// Opens an existing set.
    ///
    /// # Errors
    /// When there is none, a file is missing or malformed, or a private key can be
    /// read by anybody but its owner.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        if !directory.join(OWNER).exists() {
            return Err(Error::Absent {
                path: directory.to_owned(),
            });
        }
        let mut certificates = BTreeMap::new();
        for role in Role::ALL {
            let key = key_file(directory, role);
            let metadata = fs::metadata(&key).map_err(|source| Error::File {
                action: "look at",
                path: key.clone(),
                source,
            })?;
            let mode = metadata.permissions().mode() & 0o7777;
            if mode & 0o077 != 0 {
                return Err(Error::Exposed { path: key, mode });
            }
            let certificate = Certificate::read(&certificate_file(directory, role))?;
            certificates.insert(role, certificate);
        }
        Ok(Self {
            directory: directory.to_owned(),
            owner: read_owner(&directory.join(OWNER))?,
            certificates,
        })
    }
}

impl Signer for KeyDirectory {
    fn owner(&self) -> Uuid {
        self.owner
    }

    fn certificate(&self, role: Role) -> &Certificate {
        // `open` put all of them in.
        &self.certificates[&role]
    }

    fn access(&self, role: Role) -> KeyAccess {
        let name = format!("{role}.key");
        let variable = role.variable();
        KeyAccess {
            environment: BTreeMap::from([
                (format!("{variable}_KEY_SOURCE"), "file".to_owned()),
                (format!("{variable}_KEY"), format!("/secret/{name}")),
            ]),
            inputs: vec![Input::new(
                name,
                Source::Secret {
                    path: key_file(&self.directory, role),
                    fingerprint: self.certificate(role).fingerprint().to_string(),
                },
            )],
        }
    }
}

pub(crate) fn key_file(directory: &Path, role: Role) -> PathBuf {
    directory.join(format!("{role}.key"))
}

pub(crate) fn certificate_file(directory: &Path, role: Role) -> PathBuf {
    directory.join(format!("{role}.crt"))
}

fn read_owner(path: &Path) -> Result<Uuid, Error> {
    let text = fs::read_to_string(path).map_err(|source| Error::File {
        action: "read",
        path: path.to_owned(),
        source,
    })?;
    text.trim().parse().map_err(|source| Error::Owner {
        path: path.to_owned(),
        source,
    })
}
