//! Signature databases (PK, KEK, db, dbx): a row of `EFI_SIGNATURE_LIST`s, as the UEFI
//! specification lays them out in "Signature Database".

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::{Uuid, uuid};

/// Largest database read, in bytes; real ones have a few thousand.
pub const LARGEST_SIGNATURE_DATABASE: usize = 256 * 1024;

const CERT_X509: Uuid = uuid!("a5c059a1-94e4-4aa7-87b5-ab155c2bf072");
const CERT_SHA256: Uuid = uuid!("c1c41626-504c-4092-aca9-41f936934328");

/// Type, list size, header size and signature size.
const LIST_HEADER: usize = 16 + 4 + 4 + 4;

/// Owner of each signature.
const OWNER: usize = 16;

/// A SHA-256 fingerprint.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of some bytes, such as a certificate in DER.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Fingerprint({self})")
    }
}

/// One enrolled key or hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    /// Who enrolled it, as they say.
    pub owner: Uuid,
    /// What was enrolled.
    pub kind: SignatureKind,
}

/// What was enrolled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignatureKind {
    /// An X.509 certificate, by the SHA-256 of its DER.
    Certificate(Fingerprint),
    /// The SHA-256 of a program.
    Program(Fingerprint),
    /// Something of another type.
    Other(Uuid),
}

/// Why a database is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureListError {
    /// More bytes than [`LARGEST_SIGNATURE_DATABASE`].
    #[error("signature database has {0} bytes, too many")]
    TooLarge(usize),
    /// A list's header is cut off.
    #[error("signature list at byte {0} is cut off")]
    CutOff(usize),
    /// A list's sizes contradict each other or the database's end.
    #[error("signature list at byte {0} has sizes that do not fit")]
    Sizes(usize),
}

/// Reads all signatures of a database, in their order.
///
/// # Errors
/// A database that is too large or whose sizes do not fit exactly.
pub fn parse_signature_lists(data: &[u8]) -> Result<Vec<Signature>, SignatureListError> {
    if data.len() > LARGEST_SIGNATURE_DATABASE {
        return Err(SignatureListError::TooLarge(data.len()));
    }
    let mut signatures = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let position = data.len() - rest.len();
        let header = rest
            .get(..LIST_HEADER)
            .ok_or(SignatureListError::CutOff(position))?;
        let (list, after) = rest
            .split_at_checked(size(header, 16))
            .ok_or(SignatureListError::Sizes(position))?;
        let signature_size = size(header, 24);
        let bodies = LIST_HEADER
            .checked_add(size(header, 20))
            .and_then(|start| list.get(start..))
            .ok_or(SignatureListError::Sizes(position))?;
        if signature_size <= OWNER
            || bodies.is_empty()
            || !bodies.len().is_multiple_of(signature_size)
        {
            return Err(SignatureListError::Sizes(position));
        }
        let kind = guid(header);
        for body in bodies.chunks_exact(signature_size) {
            let (owner, content) = body.split_at(OWNER);
            signatures.push(Signature {
                owner: guid(owner),
                kind: match kind {
                    CERT_X509 => SignatureKind::Certificate(Fingerprint::of(content)),
                    CERT_SHA256 => SignatureKind::Program(Fingerprint(
                        content
                            .try_into()
                            .map_err(|_| SignatureListError::Sizes(position))?,
                    )),
                    other => SignatureKind::Other(other),
                },
            });
        }
        rest = after;
    }
    Ok(signatures)
}

/// Both callers hand over at least 16 bytes.
fn guid(bytes: &[u8]) -> Uuid {
    let mut guid = [0; 16];
    guid.copy_from_slice(&bytes[..16]);
    Uuid::from_bytes_le(guid)
}

fn size(header: &[u8], position: usize) -> usize {
    let mut word = [0; 4];
    word.copy_from_slice(&header[position..position + 4]);
    // 32 bits fit the addresses of every machine we run on.
    usize::try_from(u32::from_le_bytes(word)).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER_GUID: Uuid = uuid!("11ce9c1e-c432-42f5-8362-808ec8d9cfc3");

    fn list(kind: Uuid, header: &[u8], contents: &[&[u8]]) -> Vec<u8> {
        let signature = contents.first().map_or(0, |content| content.len()) + OWNER;
        let total = LIST_HEADER + header.len() + signature * contents.len();
        let mut bytes = kind.to_bytes_le().to_vec();
        for size in [total, header.len(), signature] {
            bytes.extend(u32::try_from(size).unwrap().to_le_bytes());
        }
        bytes.extend(header);
        for content in contents {
            bytes.extend(OWNER_GUID.to_bytes_le());
            bytes.extend(*content);
        }
        bytes
    }

    #[test]
    fn lists_of_all_kinds_are_read_in_order() {
        let other = uuid!("826ca512-cf10-4ac9-b187-be01496631bd");
        let mut data = list(CERT_X509, &[], &[b"certificate"]);
        data.extend(list(CERT_SHA256, &[], &[&[7; 32], &[8; 32]]));
        data.extend(list(other, b"head", &[&[1; 20]]));
        let signatures = parse_signature_lists(&data).unwrap();
        assert!(signatures.iter().all(|one| one.owner == OWNER_GUID));
        assert_eq!(
            signatures.iter().map(|one| one.kind).collect::<Vec<_>>(),
            [
                SignatureKind::Certificate(Fingerprint::of(b"certificate")),
                SignatureKind::Program(Fingerprint([7; 32])),
                SignatureKind::Program(Fingerprint([8; 32])),
                SignatureKind::Other(other),
            ]
        );
    }

    #[test]
    fn fingerprints_are_sha256() {
        assert_eq!(
            Fingerprint::of(b"abc").to_string(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn an_empty_database_holds_nothing() {
        assert_eq!(parse_signature_lists(&[]), Ok(Vec::new()));
    }

    #[test]
    fn every_cut_is_refused() {
        let data = list(CERT_X509, b"head", &[b"certificate"]);
        for length in 1..data.len() {
            assert!(parse_signature_lists(&data[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn sizes_that_do_not_fit_are_refused() {
        let good = list(CERT_X509, &[], &[b"certificate"]);
        // List size, header size and signature size, each made 0, small and huge.
        for position in [16, 20, 24] {
            for value in [0, 1, 16, 17, 27, u32::MAX] {
                let mut data = good.clone();
                data[position..position + 4].copy_from_slice(&value.to_le_bytes());
                if data != good {
                    assert!(
                        parse_signature_lists(&data).is_err(),
                        "{value} at {position}"
                    );
                }
            }
        }
        let hash = list(CERT_SHA256, &[], &[&[7; 31]]);
        assert_eq!(
            parse_signature_lists(&hash),
            Err(SignatureListError::Sizes(0))
        );
        assert!(matches!(
            parse_signature_lists(&vec![0; LARGEST_SIGNATURE_DATABASE + 1]),
            Err(SignatureListError::TooLarge(_))
        ));
    }
}
