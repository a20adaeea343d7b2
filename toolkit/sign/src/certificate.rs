//! Certificates: the public halves, and the only ones this crate reads.

use std::fmt;
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::Error;

/// SHA-256 of a certificate's DER encoding: how people and step keys name a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The 32 bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    /// Writes 64 hexadecimal digits.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// An X.509 certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
}

impl Certificate {
    /// Reads a file of one PEM certificate.
    ///
    /// # Errors
    /// When it cannot be read or holds anything else.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read(path).map_err(|source| Error::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        Self::from_pem(&text).map_err(|source| Error::Certificate {
            path: path.to_owned(),
            source,
        })
    }

    fn from_pem(text: &[u8]) -> Result<Self, Option<pem::PemError>> {
        let mut blocks = pem::parse_many(text)?;
        match (blocks.pop(), blocks.is_empty()) {
            (Some(block), true) if block.tag() == "CERTIFICATE" => Ok(Self {
                der: block.into_contents(),
            }),
            _ => Err(None),
        }
    }

    /// The DER encoding.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The PEM encoding, always with the same line ends.
    #[must_use]
    pub fn pem(&self) -> String {
        let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
        pem::encode_config(&pem::Pem::new("CERTIFICATE", self.der.clone()), config)
    }

    /// What names it: SHA-256 over the DER encoding, as `openssl x509
    /// -fingerprint -sha256` prints it.
    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(Sha256::digest(&self.der).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "-----BEGIN CERTIFICATE-----\nYWJj\n-----END CERTIFICATE-----\n";

    #[test]
    fn fingerprint_is_the_hash_of_the_der() {
        let certificate = Certificate::from_pem(ONE.as_bytes()).expect("one certificate");
        assert_eq!(certificate.der(), b"abc");
        assert_eq!(
            certificate.fingerprint().to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(certificate.pem(), ONE);
    }

    #[test]
    fn refuses_a_private_key_and_two_certificates() {
        let key = ONE.replace("CERTIFICATE", "PRIVATE KEY");
        assert!(Certificate::from_pem(key.as_bytes()).is_err());
        assert!(Certificate::from_pem([ONE, ONE].concat().as_bytes()).is_err());
        assert!(Certificate::from_pem(b"").is_err());
    }
}
