//! The file `seal`: what the initramfs gives the log of a boot, and where the log keeps
//! the one secret it has, rewritten in place each time the secret changes.
//!
//! It lies on a file system in memory, never on a disk.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize as _, Zeroizing};

use crate::certificate::{Certificate, CertificateError};
use crate::digest::lower_hex;
use crate::key::{KeyError, PublicKey, Seed};

/// The file's name in the log's runtime directory.
pub const NAME: &str = "seal";

/// Largest file that is read, in bytes.
pub const SIZE_LIMIT: usize = 4096;

/// What the file holds.
#[derive(Clone, PartialEq, Eq)]
pub struct SealFile {
    /// The boot.
    pub boot: u64,
    /// The key that signs the ledger's next record.
    pub seed: Seed,
    /// The key after it, while that record is on its way to the disk: whichever the
    /// ledger's last record names is the one to go on with after a crash.
    pub next: Option<Seed>,
    /// The root's word for the boot's first key.
    pub certificate: Certificate,
    /// The root's public key.
    pub root_public: PublicKey,
    /// The authorisation value of the TPM's counter.
    pub anchor_auth: Zeroizing<[u8; 32]>,
}

/// Why the file is refused.
#[derive(Debug, thiserror::Error)]
pub enum SealFileError {
    /// Too long.
    #[error("the seal file is longer than {SIZE_LIMIT} bytes")]
    TooLong,
    /// No JSON, or of another structure. What is in it is not repeated: it is secret.
    #[error("the seal file is not understood (line {line}, column {column})")]
    Json {
        /// Where.
        line: usize,
        /// Where in the line.
        column: usize,
    },
    /// A key in it is none.
    #[error("`{key}` in the seal file is no key")]
    Key {
        /// Which.
        key: &'static str,
        /// Why.
        source: KeyError,
    },
    /// The certificate in it is none, or not signed by the root in it.
    #[error("the certificate in the seal file is refused")]
    Certificate(#[from] CertificateError),
    /// The certificate is about another boot.
    #[error("the seal file is of boot {boot}, its certificate of boot {certified}")]
    Boot {
        /// What the file says.
        boot: u64,
        /// What the certificate says.
        certified: u64,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    boot: u64,
    seed: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    certificate: String,
    root_public: String,
    anchor_auth: String,
}

impl Drop for Raw {
    fn drop(&mut self) {
        self.seed.zeroize();
        self.next.zeroize();
        self.anchor_auth.zeroize();
    }
}

impl SealFile {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is none, or contradicts itself.
    pub fn parse(json: &[u8]) -> Result<Self, SealFileError> {
        if json.len() > SIZE_LIMIT {
            return Err(SealFileError::TooLong);
        }
        let raw: Raw = serde_json::from_slice(json).map_err(|error| SealFileError::Json {
            line: error.line(),
            column: error.column(),
        })?;
        let named = |key| move |source| SealFileError::Key { key, source };
        let root_public = PublicKey::from_hex(&raw.root_public).map_err(named("root_public"))?;
        let certificate = Certificate::from_hex(raw.certificate.as_bytes())?;
        let claim = certificate.verify(&root_public)?;
        if claim.boot != raw.boot {
            return Err(SealFileError::Boot {
                boot: raw.boot,
                certified: claim.boot,
            });
        }
        let anchor_auth = lower_hex(raw.anchor_auth.as_bytes())
            .ok_or(KeyError::Malformed)
            .map_err(named("anchor_auth"))?;
        let next = raw.next.as_deref().map(Seed::from_hex).transpose();
        Ok(Self {
            boot: raw.boot,
            seed: Seed::from_hex(&raw.seed).map_err(named("seed"))?,
            next: next.map_err(named("next"))?,
            certificate,
            root_public,
            anchor_auth: Zeroizing::new(anchor_auth),
        })
    }

    /// Writes the file's content, which is secret.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<Zeroizing<Vec<u8>>> {
        let raw = Raw {
            boot: self.boot,
            seed: self.seed.to_hex().to_string(),
            next: self.next.as_ref().map(|seed| seed.to_hex().to_string()),
            certificate: self.certificate.to_hex(),
            root_public: self.root_public.to_string(),
            anchor_auth: hex::encode(*self.anchor_auth),
        };
        // Large enough from the start: growing would leave copies behind.
        let mut json = Zeroizing::new(Vec::with_capacity(SIZE_LIMIT));
        serde_json::to_writer(&mut *json, &raw)?;
        Ok(json)
    }
}

impl fmt::Debug for SealFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SealFile of boot {}", self.boot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::certificate::Claim;
    use crate::epoch::Epoch;
    use crate::key::MachineKeys;

    #[test]
    fn what_is_written_is_read_and_contradictions_are_not() {
        let keys = MachineKeys::new(&[9; 32]);
        let epoch = Epoch::new([3; 16]);
        let seed = keys.boot(epoch, 5);
        let claim = Claim {
            epoch,
            boot: 5,
            first: 1,
            key: seed.public(),
        };
        let mut file = SealFile {
            boot: 5,
            seed,
            next: Some(Seed::new([4; 32])),
            certificate: Certificate::issue(keys.root(), claim),
            root_public: keys.root().public(),
            anchor_auth: Zeroizing::new(*keys.anchor_auth()),
        };
        assert_eq!(SealFile::parse(&file.to_json().unwrap()).unwrap(), file);
        assert_eq!(format!("{file:?}"), "SealFile of boot 5");
        file.boot = 6;
        let refused = SealFile::parse(&file.to_json().unwrap());
        assert!(matches!(refused, Err(SealFileError::Boot { .. })));
        file.root_public = Seed::new([1; 32]).public();
        let refused = SealFile::parse(&file.to_json().unwrap());
        assert!(matches!(refused, Err(SealFileError::Certificate(_))));
        assert!(SealFile::parse(b"{}").is_err());
        assert!(SealFile::parse(&[b' '; SIZE_LIMIT + 1]).is_err());
    }
}
