//! The root hash of a dm-verity tree, which is the identity of a Core.

use std::{fmt, str::FromStr};

use uuid::Uuid;

/// Partition type of the Core: "root partition, x86-64" of the Discoverable
/// Partitions Specification.
pub const ROOT_X86_64: Uuid = Uuid::from_u128(0x4f68bce3_e8cd_4db1_96e7_fbcaf984b709);

/// SHA-256 root hash of a dm-verity tree.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RootHash([u8; 32]);

/// Why a text is no root hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RootHashError {
    /// The text has another length than 64 characters.
    #[error("a root hash is 64 hexadecimal digits, not {0} characters")]
    Length(usize),
    /// A character is no lower-case hexadecimal digit.
    #[error("character {0} of the root hash is no lower-case hexadecimal digit")]
    Digit(usize),
}

impl RootHash {
    /// A root hash from its raw bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The raw bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// UUID of the partition that holds the tree's data: the first 128 bits of the
    /// root hash, as the Discoverable Partitions Specification says.
    pub fn partition_uuid(&self) -> Uuid {
        let mut first = [0; 16];
        first.copy_from_slice(&self.0[..16]);
        Uuid::from_bytes(first)
    }

    /// The first 16 digits, enough for people to tell one Core from another.
    pub fn short(&self) -> String {
        hex::encode(&self.0[..8])
    }
}

impl FromStr for RootHash {
    type Err = RootHashError;

    fn from_str(text: &str) -> Result<Self, RootHashError> {
        if text.len() != 64 {
            return Err(RootHashError::Length(text.chars().count()));
        }
        // One spelling only: the signature is over this very text.
        if let Some(position) = text
            .bytes()
            .position(|byte| !matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        {
            return Err(RootHashError::Digit(position));
        }
        let mut bytes = [0; 32];
        hex::decode_to_slice(text, &mut bytes).map_err(|_| RootHashError::Length(text.len()))?;
        Ok(Self(bytes))
    }
}

impl fmt::Display for RootHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for RootHash {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "RootHash({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "0ed089cb79cc78921980e514a87d5f226ba458b5ac2236adfb2bfbdf3bbf5eab";

    #[test]
    fn text_survives_a_round_trip() {
        let hash: RootHash = TEXT.parse().unwrap();
        assert_eq!(hash.to_string(), TEXT);
        assert_eq!(hash.short(), "0ed089cb79cc7892");
    }

    #[test]
    fn partition_uuid_is_the_first_half_in_reading_order() {
        let hash: RootHash = TEXT.parse().unwrap();
        assert_eq!(
            hash.partition_uuid().to_string(),
            "0ed089cb-79cc-7892-1980-e514a87d5f22"
        );
    }

    #[test]
    fn other_spellings_are_refused() {
        assert_eq!(RootHash::from_str(""), Err(RootHashError::Length(0)));
        assert_eq!(
            RootHash::from_str(&TEXT[1..]),
            Err(RootHashError::Length(63))
        );
        assert_eq!(
            RootHash::from_str(&TEXT.to_uppercase()),
            Err(RootHashError::Digit(1))
        );
        assert_eq!(
            RootHash::from_str(&TEXT.replace("0e", "0x")),
            Err(RootHashError::Digit(1))
        );
        // 64 bytes, fewer characters: must neither panic nor pass.
        assert!(RootHash::from_str(&"é".repeat(32)).is_err());
    }
}
