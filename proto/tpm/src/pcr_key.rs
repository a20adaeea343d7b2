//! The public half of the PCR key, as a TPM loads it.

use std::fmt;

use pkcs1::der::{Decode, Encode};
use spki::{DecodePublicKey, Document, ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::marshal::{self, sized};
use crate::{Digest, Name};

/// The largest public key that is looked at, in bytes of PEM or DER.
pub const LARGEST_PUBLIC_KEY: usize = 4096;

const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const PRIME256V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");

/// `TPMA_OBJECT`: userWithAuth, decrypt, sign. They are part of the name that policies
/// hold, so they never change.
const ATTRIBUTES: u32 = 1 << 6 | 1 << 17 | 1 << 18;

/// 65537, which is written as 0: a TPM need not know another way (part 2, 12.2.3.5).
const EXPONENT: [u8; 3] = [1, 0, 1];

/// Why a public key is no PCR key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PcrKeyError {
    /// More bytes than any such key has.
    #[error("the public key has {0} bytes, more than {LARGEST_PUBLIC_KEY}")]
    Size(usize),
    /// Neither PEM nor DER of a `SubjectPublicKeyInfo` (RFC 5280).
    #[error("the public key is no SubjectPublicKeyInfo in PEM or DER")]
    Malformed,
    /// A TPM need not know this kind of key.
    #[error("the public key is neither RSA of 2048 to 4096 bits with exponent 65537 nor on P-256")]
    Kind,
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PcrKeyKind {
    /// RSA; signatures are PKCS #1 v1.5 with SHA-256.
    Rsa,
    /// P-256; signatures are ECDSA with SHA-256, in DER.
    P256,
}

/// The public half of a PCR key.
#[derive(Clone, PartialEq, Eq)]
pub struct PcrKey {
    kind: PcrKeyKind,
    public_area: Vec<u8>,
    fingerprint: Digest,
}

impl PcrKey {
    /// Reads a `SubjectPublicKeyInfo` in PEM, as systemd-stub hands it over
    /// (`tpm2-pcr-public-key.pem`).
    ///
    /// # Errors
    /// It is too large, malformed, or a key that no TPM need know.
    pub fn from_pem(pem: &[u8]) -> Result<Self, PcrKeyError> {
        if pem.len() > LARGEST_PUBLIC_KEY {
            return Err(PcrKeyError::Size(pem.len()));
        }
        let text = std::str::from_utf8(pem).map_err(|_| PcrKeyError::Malformed)?;
        // A PE section may be padded with zeroes.
        let text = text.trim_end_matches('\0');
        let document = PemKey::from_public_key_pem(text).map_err(|_| PcrKeyError::Malformed)?;
        Self::from_der(document.0.as_bytes())
    }

    /// Reads a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// As [`PcrKey::from_pem`].
    pub fn from_der(der: &[u8]) -> Result<Self, PcrKeyError> {
        if der.len() > LARGEST_PUBLIC_KEY {
            return Err(PcrKeyError::Size(der.len()));
        }
        let key = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| PcrKeyError::Malformed)?;
        let bits = key
            .subject_public_key
            .as_bytes()
            .ok_or(PcrKeyError::Malformed)?;
        let (kind, public_area) = match key.algorithm.oid {
            RSA_ENCRYPTION => (PcrKeyKind::Rsa, rsa_public_area(bits)?),
            EC_PUBLIC_KEY => {
                let curve = key
                    .algorithm
                    .parameters_oid()
                    .map_err(|_| PcrKeyError::Kind)?;
                if curve != PRIME256V1 {
                    return Err(PcrKeyError::Kind);
                }
                (PcrKeyKind::P256, p256_public_area(bits)?)
            }
            _ => return Err(PcrKeyError::Kind),
        };
        // One encoding only.
        let canonical = key.to_der().map_err(|_| PcrKeyError::Malformed)?;
        if canonical != der {
            return Err(PcrKeyError::Malformed);
        }
        Ok(Self {
            kind,
            public_area,
            // systemd hashes `i2d_PublicKey`: what is inside of the bit string.
            fingerprint: Digest::of(&[bits]),
        })
    }

    /// What kind of key it is.
    #[must_use]
    pub fn kind(&self) -> PcrKeyKind {
        self.kind
    }

    /// Its `TPMT_PUBLIC`, marshalled.
    #[must_use]
    pub fn public_area(&self) -> &[u8] {
        &self.public_area
    }

    /// Its name, which sealing policies hold.
    #[must_use]
    pub fn name(&self) -> Name {
        Name::of_public_area(&self.public_area)
    }

    /// SHA-256 of the bare key (PKCS #1 in DER, or the point), without what says which
    /// kind it is: `pkfp` in `.pcrsig`.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        self.fingerprint
    }
}

impl fmt::Debug for PcrKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PcrKey({:?}, {})", self.kind, self.fingerprint)
    }
}

fn header(kind: u16) -> Vec<u8> {
    let mut area = kind.to_be_bytes().to_vec();
    area.extend_from_slice(&marshal::SHA256.to_be_bytes());
    area.extend_from_slice(&ATTRIBUTES.to_be_bytes());
    sized(&mut area, &[]);
    // Neither a symmetric algorithm nor a fixed scheme.
    area.extend_from_slice(&marshal::NULL.to_be_bytes());
    area.extend_from_slice(&marshal::NULL.to_be_bytes());
    area
}

fn rsa_public_area(bits: &[u8]) -> Result<Vec<u8>, PcrKeyError> {
    let key = pkcs1::RsaPublicKey::from_der(bits).map_err(|_| PcrKeyError::Malformed)?;
    let modulus = key.modulus.as_bytes();
    let whole = matches!(modulus.len(), 256 | 384 | 512) && modulus[0] & 0x80 != 0;
    if !whole || key.public_exponent.as_bytes() != EXPONENT {
        return Err(PcrKeyError::Kind);
    }
    let key_bits = u16::try_from(modulus.len() * 8).map_err(|_| PcrKeyError::Kind)?;
    let mut area = header(marshal::RSA);
    area.extend_from_slice(&key_bits.to_be_bytes());
    area.extend_from_slice(&0u32.to_be_bytes());
    sized(&mut area, modulus);
    Ok(area)
}

fn p256_public_area(bits: &[u8]) -> Result<Vec<u8>, PcrKeyError> {
    // SEC 1, 2.3.3: 4, then both coordinates.
    let Some((4, point)) = bits.split_first() else {
        return Err(PcrKeyError::Malformed);
    };
    if point.len() != 64 {
        return Err(PcrKeyError::Malformed);
    }
    let mut area = header(marshal::ECC);
    area.extend_from_slice(&marshal::NIST_P256.to_be_bytes());
    area.extend_from_slice(&marshal::NULL.to_be_bytes());
    sized(&mut area, &point[..32]);
    sized(&mut area, &point[32..]);
    Ok(area)
}

/// The DER inside of a PEM public key.
struct PemKey(Document);

impl TryFrom<SubjectPublicKeyInfoRef<'_>> for PemKey {
    type Error = spki::Error;

    fn try_from(key: SubjectPublicKeyInfoRef<'_>) -> Result<Self, spki::Error> {
        Ok(Self(Document::try_from(key)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made with `openssl genpkey` and `openssl pkey -pubout`.
    const RSA: &str = include_str!("../samples/rsa-2048.pem");
    const RSA_1024: &str = include_str!("../samples/rsa-1024.pem");
    const P256: &str = include_str!("../samples/p-256.pem");
    const P384: &str = include_str!("../samples/p-384.pem");

    #[test]
    fn both_kinds_are_read() {
        let rsa = PcrKey::from_pem(RSA.as_bytes()).unwrap();
        assert_eq!(rsa.kind(), PcrKeyKind::Rsa);
        assert_eq!(rsa.public_area().len(), 8 + 2 + 4 + 2 + 4 + 2 + 256);
        let p256 = PcrKey::from_pem(P256.as_bytes()).unwrap();
        assert_eq!(p256.kind(), PcrKeyKind::P256);
        assert_ne!(rsa.name(), p256.name());
    }

    #[test]
    fn padding_of_the_section_does_not_matter() {
        let padded = format!("{RSA}\0\0\0");
        assert_eq!(
            PcrKey::from_pem(padded.as_bytes()),
            PcrKey::from_pem(RSA.as_bytes())
        );
    }

    #[test]
    fn others_are_refused() {
        for weak in [RSA_1024, P384] {
            assert_eq!(PcrKey::from_pem(weak.as_bytes()), Err(PcrKeyError::Kind));
        }
        assert_eq!(PcrKey::from_pem(b"PUBLIC"), Err(PcrKeyError::Malformed));
        assert_eq!(PcrKey::from_der(&[0x30, 0x80]), Err(PcrKeyError::Malformed));
        assert_eq!(
            PcrKey::from_pem(&[b'A'; 5000]),
            Err(PcrKeyError::Size(5000))
        );
    }
}
