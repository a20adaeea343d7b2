//! Digests and names. SHA-256 only: it is what our policies are made of.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::marshal;

/// A SHA-256 digest that is no secret: of a policy, of a PCR.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl Digest {
    /// All zeroes: where every policy starts.
    pub const ZERO: Self = Self([0; 32]);

    /// From its raw bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The digest of the parts, one after the other.
    #[must_use]
    pub fn of(parts: &[&[u8]]) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update(part);
        }
        Self(hash.finalize().into())
    }

    /// From 64 lower-case hexadecimal digits; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let plain = text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let mut bytes = [0; 32];
        (plain && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(Self(bytes))
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What a PCR of this value becomes when it is extended with the digest of `word`.
    #[must_use]
    pub fn extended_with(&self, word: &str) -> Self {
        let event = Self::of(&[word.as_bytes()]);
        Self::of(&[&self.0, &event.0])
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

/// The name of an object or NV index (part 1, 16): the algorithm and the digest of its
/// public area. Who knows the name knows every attribute.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Name([u8; Name::SIZE]);

impl Name {
    /// Bytes of a name with SHA-256.
    pub const SIZE: usize = 34;

    /// The name of what has this public area (a marshalled `TPMT_PUBLIC` or
    /// `TPMS_NV_PUBLIC` whose name algorithm is SHA-256).
    #[must_use]
    pub fn of_public_area(public: &[u8]) -> Self {
        let mut name = [0; Self::SIZE];
        name[..2].copy_from_slice(&marshal::SHA256.to_be_bytes());
        name[2..].copy_from_slice(Digest::of(&[public]).as_bytes());
        Self(name)
    }

    /// From its raw bytes; `None` when they are no SHA-256 name.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let name: [u8; Self::SIZE] = bytes.try_into().ok()?;
        name.starts_with(&marshal::SHA256.to_be_bytes())
            .then_some(Self(name))
    }

    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; Self::SIZE] {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_spelling_is_read() {
        let text = "ab".repeat(32);
        assert_eq!(Digest::from_hex(&text).unwrap().to_string(), text);
        assert_eq!(Digest::from_hex(&text.to_uppercase()), None);
        assert_eq!(Digest::from_hex(&text[2..]), None);
        assert_eq!(Digest::from_hex(&format!("{text}00")), None);
    }

    #[test]
    fn a_name_is_of_sha256_and_of_its_length() {
        let name = Name::of_public_area(b"area");
        assert_eq!(Name::from_bytes(name.as_bytes()), Some(name));
        assert_eq!(Name::from_bytes(&name.as_bytes()[1..]), None);
        let mut other = *name.as_bytes();
        other[1] = 0x0c;
        assert_eq!(Name::from_bytes(&other), None);
    }
}
