//! A line of a log file: hash, JSON, and a signature where there is one.

use crate::digest::{Digest, NoDigest};
use crate::key::{KeyError, PublicKey, Seed, Signature};
use crate::name::StreamName;

/// The longest line, in bytes, without its newline.
pub const LONGEST_LINE: usize = 48 * 1024;

const DOMAIN: &[u8] = b"bastide log seal 1\0";

/// A space and 128 hexadecimal digits.
const SIGNATURE_LENGTH: usize = 129;

/// A line as it is written; nobody has looked at its hash or signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Line<'text> {
    /// The hash it claims.
    pub hash: Digest,
    /// The record.
    pub json: &'text [u8],
    /// The signature over the hash.
    pub signature: Option<Signature>,
}

/// Why bytes are no line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// Longer than any.
    #[error("the line is longer than {LONGEST_LINE} bytes")]
    TooLong,
    /// Not of the form `hash json[ signature]`.
    #[error("the line is not of the form `hash json` or `hash json signature`")]
    Form,
    /// Its hash is none.
    #[error(transparent)]
    Hash(#[from] NoDigest),
    /// Its signature is none.
    #[error("the line ends with a signature that is none")]
    Signature(#[source] KeyError),
}

impl<'text> Line<'text> {
    /// Reads a line, without its newline.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(line: &'text [u8]) -> Result<Self, LineError> {
        if line.len() > LONGEST_LINE {
            return Err(LineError::TooLong);
        }
        let (hash, rest) = line.split_at_checked(64).ok_or(LineError::Form)?;
        let rest = rest.strip_prefix(b" ").ok_or(LineError::Form)?;
        let hash = Digest::from_hex(hash)?;
        let (json, signature) = if rest.ends_with(b"}") {
            (rest, None)
        } else {
            let end = rest
                .len()
                .checked_sub(SIGNATURE_LENGTH)
                .ok_or(LineError::Form)?;
            let (json, signature) = rest.split_at(end);
            let signature = signature.strip_prefix(b" ").ok_or(LineError::Form)?;
            let signature = Signature::from_hex(signature).map_err(LineError::Signature)?;
            (json, Some(signature))
        };
        if !json.starts_with(b"{") || !json.ends_with(b"}") {
            return Err(LineError::Form);
        }
        Ok(Self {
            hash,
            json,
            signature,
        })
    }

    /// Writes a line with its newline.
    pub fn write(&self, output: &mut Vec<u8>) {
        let mut hash = [0; 64];
        // 32 bytes are always 64 digits.
        if hex::encode_to_slice(self.hash.as_bytes(), &mut hash).is_ok() {
            output.extend_from_slice(&hash);
        }
        output.push(b' ');
        output.extend_from_slice(self.json);
        if let Some(signature) = &self.signature {
            output.push(b' ');
            output.extend_from_slice(hex::encode(signature.as_bytes()).as_bytes());
        }
        output.push(b'\n');
    }
}

/// Signs the hash of a record in the name of a stream.
#[must_use]
pub fn sign(key: &Seed, stream: &StreamName, hash: &Digest) -> Signature {
    key.sign(&[DOMAIN, stream.as_str().as_bytes(), b"\0", hash.as_bytes()])
}

/// Checks the signature over the hash of a record in the name of a stream.
///
/// # Errors
/// When it is not this key's.
pub fn check(
    key: &PublicKey,
    stream: &StreamName,
    hash: &Digest,
    signature: &Signature,
) -> Result<(), KeyError> {
    let name = stream.as_str().as_bytes();
    key.verify(&[DOMAIN, name, b"\0", hash.as_bytes()], signature)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_written_and_nothing_else() {
        let stream = StreamName::new("kernel").unwrap();
        let json = br#"{"seq":1,"message":"a } b"}"#;
        let hash = Digest::genesis(&stream).follow(json);
        let seed = Seed::new([1; 32]);
        for signature in [None, Some(sign(&seed, &stream, &hash))] {
            let line = Line {
                hash,
                json,
                signature,
            };
            let mut bytes = Vec::new();
            line.write(&mut bytes);
            assert_eq!(bytes.pop(), Some(b'\n'));
            assert_eq!(Line::parse(&bytes), Ok(line));
            for length in 0..bytes.len() {
                if let Ok(shorter) = Line::parse(&bytes[..length]) {
                    assert_eq!(&bytes[length - 1..length], b"}", "{shorter:?}");
                }
            }
        }
        assert!(Line::parse(&vec![b'0'; LONGEST_LINE + 1]).is_err());
        let other = StreamName::new("audit").unwrap();
        let signature = sign(&seed, &stream, &hash);
        assert!(check(&seed.public(), &stream, &hash, &signature).is_ok());
        assert!(check(&seed.public(), &other, &hash, &signature).is_err());
    }
}
