//! Certificates of boots: the root key's word for the ledger's first key.
//!
//! 144 bytes: `bastide log cert`, the epoch (16 bytes), the boot's number, the number of
//! the epoch's first boot (both 64 bits, big endian), the public key, and the root's
//! signature over what is before it.

use crate::digest::lower_hex;
use crate::epoch::Epoch;
use crate::key::{KeyError, PublicKey, Seed, Signature};

const MAGIC: &[u8; 16] = b"bastide log cert";

/// The size of a certificate, in bytes.
pub const SIZE: usize = 144;

/// A certificate as it came: nobody has looked at its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    claim: Claim,
    signature: Signature,
}

/// What a certificate says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    /// Which TPM counts.
    pub epoch: Epoch,
    /// The value of the TPM's counter once the boot had raised it.
    pub boot: u64,
    /// The first boot of the epoch, so that a log that was wiped does not pass for one
    /// that begins. 0, "not known", is a problem to whoever verifies.
    pub first: u64,
    /// The ledger's first key of this boot.
    pub key: PublicKey,
}

/// Why a certificate is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// It is not written as one.
    #[error("a certificate of a boot is {SIZE} bytes that begin with `bastide log cert`")]
    Malformed,
    /// The root key did not sign it.
    #[error("the certificate of boot {boot} is not signed by the root key")]
    NotSigned {
        /// The boot it claims.
        boot: u64,
        /// What is wrong with the signature.
        source: KeyError,
    },
}

impl Claim {
    fn bytes(&self) -> [u8; SIZE - 64] {
        let mut bytes = [0; SIZE - 64];
        let [magic, epoch, numbers, key] = [0..16, 16..32, 32..48, 48..80];
        bytes[magic].copy_from_slice(MAGIC);
        bytes[epoch].copy_from_slice(self.epoch.as_bytes());
        let mut both = [0; 16];
        both[..8].copy_from_slice(&self.boot.to_be_bytes());
        both[8..].copy_from_slice(&self.first.to_be_bytes());
        bytes[numbers].copy_from_slice(&both);
        bytes[key].copy_from_slice(self.key.as_bytes());
        bytes
    }
}

impl Certificate {
    /// Signs a claim with the root key.
    #[must_use]
    pub fn issue(root: &Seed, claim: Claim) -> Self {
        Self {
            claim,
            signature: root.sign(&[&claim.bytes()]),
        }
    }

    /// What it says, for whoever only wants to know which boot it is about.
    #[must_use]
    pub fn unverified(&self) -> &Claim {
        &self.claim
    }

    /// What it says, once the root's signature has been checked.
    ///
    /// # Errors
    /// When the root key did not sign it.
    pub fn verify(&self, root: &PublicKey) -> Result<Claim, CertificateError> {
        root.verify(&[&self.claim.bytes()], &self.signature)
            .map_err(|source| CertificateError::NotSigned {
                boot: self.claim.boot,
                source,
            })?;
        Ok(self.claim)
    }

    /// Reads a certificate.
    ///
    /// # Errors
    /// When it is none.
    pub fn from_bytes(bytes: &[u8; SIZE]) -> Result<Self, CertificateError> {
        let (magic, rest) = bytes
            .split_first_chunk::<16>()
            .ok_or(CertificateError::Malformed)?;
        let (epoch, rest) = rest
            .split_first_chunk::<16>()
            .ok_or(CertificateError::Malformed)?;
        let (boot, rest) = rest
            .split_first_chunk::<8>()
            .ok_or(CertificateError::Malformed)?;
        let (first, rest) = rest
            .split_first_chunk::<8>()
            .ok_or(CertificateError::Malformed)?;
        let (key, rest) = rest
            .split_first_chunk::<32>()
            .ok_or(CertificateError::Malformed)?;
        let signature = <[u8; 64]>::try_from(rest).map_err(|_| CertificateError::Malformed)?;
        if magic != MAGIC {
            return Err(CertificateError::Malformed);
        }
        Ok(Self {
            claim: Claim {
                epoch: Epoch::new(*epoch),
                boot: u64::from_be_bytes(*boot),
                first: u64::from_be_bytes(*first),
                key: PublicKey::new(*key),
            },
            signature: Signature::new(signature),
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; SIZE] {
        let mut bytes = [0; SIZE];
        bytes[..SIZE - 64].copy_from_slice(&self.claim.bytes());
        bytes[SIZE - 64..].copy_from_slice(self.signature.as_bytes());
        bytes
    }

    /// Reads 288 lower-case hexadecimal digits; a newline may follow.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn from_hex(text: &[u8]) -> Result<Self, CertificateError> {
        let text = text.strip_suffix(b"\n").unwrap_or(text);
        let bytes = lower_hex(text).ok_or(CertificateError::Malformed)?;
        Self::from_bytes(&bytes)
    }

    /// 288 lower-case hexadecimal digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex::encode(self.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_root_certifies() {
        let root = Seed::new([1; 32]);
        let claim = Claim {
            epoch: Epoch::new([9; 16]),
            boot: 42,
            first: 40,
            key: Seed::new([2; 32]).public(),
        };
        let certificate = Certificate::issue(&root, claim);
        let read = Certificate::from_hex(certificate.to_hex().as_bytes()).unwrap();
        assert_eq!(read.verify(&root.public()), Ok(claim));
        let mallory = Certificate::issue(&Seed::new([3; 32]), claim);
        assert!(mallory.verify(&root.public()).is_err());
        for bit in 0..SIZE * 8 {
            let mut bytes = certificate.to_bytes();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let verdict = Certificate::from_bytes(&bytes)
                .and_then(|certificate| certificate.verify(&root.public()));
            assert!(verdict.is_err(), "bit {bit}");
        }
    }
}
