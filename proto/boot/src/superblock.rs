//! The dm-verity superblock, as cryptsetup writes it (`lib/verity/verity.c`,
//! "Verity on-disk format" of the kernel documentation).
//!
//! It is not signed. Of its fields only the salt is used, which the root hash covers:
//! another salt gives another hash of every block. All else must be what the signed
//! geometry says.

use uuid::Uuid;

use crate::{BLOCK_SIZE, Geometry};

/// Bytes of a superblock; the rest of its block is zero.
pub const SUPERBLOCK_SIZE: usize = 512;

const LARGEST_SALT: usize = 256;

/// A superblock that fits the geometry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Superblock {
    /// UUID of the verity volume.
    pub uuid: Uuid,
    /// Salt that goes before every hashed block; at most 256 bytes.
    pub salt: Vec<u8>,
}

/// Why a superblock is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// Fewer bytes than [`SUPERBLOCK_SIZE`].
    #[error("verity superblock is cut off")]
    Short,
    /// It does not begin with "verity\0\0".
    #[error("no verity superblock")]
    Magic,
    /// Format version other than 1.
    #[error("verity superblock has version {0}, not 1")]
    Version(u32),
    /// Hash type other than 1 (salt before data).
    #[error("verity superblock has hash type {0}, not 1")]
    HashType(u32),
    /// Digest other than SHA-256.
    #[error("verity superblock names another digest than sha256")]
    Algorithm,
    /// Block size of data or hash tree other than [`BLOCK_SIZE`].
    #[error("verity superblock has block size {0}, not {BLOCK_SIZE}")]
    BlockSize(u32),
    /// Number of data blocks other than the signed hash offset gives.
    #[error("verity superblock has {found} data blocks, not {expected}")]
    DataBlocks {
        /// What the superblock says.
        found: u64,
        /// What the signed command line gives.
        expected: u64,
    },
    /// Salt longer than its field.
    #[error("verity superblock has a salt of {0} bytes")]
    Salt(u16),
    /// Bytes outside any field are not zero.
    #[error("verity superblock has stray bytes")]
    Stray,
}

impl Superblock {
    /// Reads a superblock and holds it against the geometry.
    ///
    /// # Errors
    /// The first field that is not as it must be.
    pub fn parse(bytes: &[u8], geometry: &Geometry) -> Result<Self, SuperblockError> {
        let bytes: &[u8; SUPERBLOCK_SIZE] = bytes.first_chunk().ok_or(SuperblockError::Short)?;
        if bytes[..8] != *b"verity\0\0" {
            return Err(SuperblockError::Magic);
        }
        match word(bytes, 8) {
            1 => {}
            other => return Err(SuperblockError::Version(other)),
        }
        match word(bytes, 12) {
            1 => {}
            other => return Err(SuperblockError::HashType(other)),
        }
        let mut uuid = [0; 16];
        uuid.copy_from_slice(&bytes[16..32]);
        let mut algorithm = [0; 32];
        algorithm[..6].copy_from_slice(b"sha256");
        if bytes[32..64] != algorithm {
            return Err(SuperblockError::Algorithm);
        }
        for position in [64, 68] {
            let size = word(bytes, position);
            if size != BLOCK_SIZE {
                return Err(SuperblockError::BlockSize(size));
            }
        }
        let found = u64::from(word(bytes, 72)) | u64::from(word(bytes, 76)) << 32;
        if found != geometry.data_blocks {
            return Err(SuperblockError::DataBlocks {
                found,
                expected: geometry.data_blocks,
            });
        }
        let salt_size = u16::from_le_bytes([bytes[80], bytes[81]]);
        let end = usize::from(salt_size);
        if end > LARGEST_SALT {
            return Err(SuperblockError::Salt(salt_size));
        }
        if bytes[82..88]
            .iter()
            .chain(&bytes[88 + end..])
            .any(|byte| *byte != 0)
        {
            return Err(SuperblockError::Stray);
        }
        Ok(Self {
            uuid: Uuid::from_bytes(uuid),
            salt: bytes[88..88 + end].to_vec(),
        })
    }
}

fn word(bytes: &[u8; SUPERBLOCK_SIZE], position: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[position..position + 4]);
    u32::from_le_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::HashOffset;

    fn geometry() -> Geometry {
        Geometry::new(HashOffset::from_bytes(3000 * 4096).unwrap())
    }

    /// The first bytes of what `veritysetup format` (2.6.1) wrote for 3000 blocks
    /// with `--salt=00112233 --uuid=6a5d0f0e-1111-4222-8333-444455556666`.
    fn good() -> [u8; SUPERBLOCK_SIZE] {
        let written = hex::decode(concat!(
            "76657269747900000100000001000000",
            "6a5d0f0e111142228333444455556666",
            "73686132353600000000000000000000",
            "00000000000000000000000000000000",
            "0010000000100000b80b000000000000",
            "04000000000000000011223300000000",
        ))
        .unwrap();
        let mut bytes = [0; SUPERBLOCK_SIZE];
        bytes[..written.len()].copy_from_slice(&written);
        bytes
    }

    #[test]
    fn veritysetups_superblock_is_read() {
        let superblock = Superblock::parse(&good(), &geometry()).unwrap();
        assert_eq!(
            superblock.uuid.to_string(),
            "6a5d0f0e-1111-4222-8333-444455556666"
        );
        assert_eq!(superblock.salt, [0x00, 0x11, 0x22, 0x33]);
    }

    #[test]
    fn every_changed_byte_outside_uuid_and_salt_is_refused() {
        for position in (0..16).chain(32..88).chain(92..SUPERBLOCK_SIZE) {
            let mut bytes = good();
            bytes[position] ^= 0x01;
            let result = Superblock::parse(&bytes, &geometry());
            // A changed salt length leaves a salt that the root hash refuses, or
            // cuts one off and leaves stray bytes.
            if position != 80 {
                assert!(result.is_err(), "byte {position}");
            }
        }
    }

    #[test]
    fn bad_fields_are_named() {
        let refused = |position: usize, value: u8| {
            let mut bytes = good();
            bytes[position] = value;
            Superblock::parse(&bytes, &geometry()).unwrap_err()
        };
        assert_eq!(refused(0, b'V'), SuperblockError::Magic);
        assert_eq!(refused(8, 2), SuperblockError::Version(2));
        assert_eq!(refused(12, 0), SuperblockError::HashType(0));
        assert_eq!(refused(35, b'1'), SuperblockError::Algorithm);
        assert_eq!(refused(65, 2), SuperblockError::BlockSize(512));
        assert_eq!(
            refused(72, 0xb9),
            SuperblockError::DataBlocks {
                found: 3001,
                expected: 3000
            }
        );
        assert_eq!(refused(81, 2), SuperblockError::Salt(516));
        assert_eq!(refused(80, 3), SuperblockError::Stray);
        assert_eq!(refused(511, 1), SuperblockError::Stray);
        assert_eq!(
            Superblock::parse(&good()[..511], &geometry()),
            Err(SuperblockError::Short)
        );
    }
}
