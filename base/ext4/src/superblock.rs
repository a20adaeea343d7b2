//! The fields of the superblock that differ from machine to machine
//! (`struct ext4_super_block` of `fs/ext4/ext4.h`).

use crc::{CRC_32_ISCSI, Crc};
use uuid::Uuid;

/// Where the superblock lies, in bytes.
pub const SUPERBLOCK_OFFSET: u64 = 1024;

/// Bytes of a superblock.
pub const SUPERBLOCK_SIZE: usize = 1024;

const BLOCKS: usize = 0x04;
const MAGIC: usize = 0x38;
const LOG_BLOCK_SIZE: usize = 0x18;
const INCOMPATIBLE: usize = 0x60;
const READ_ONLY_COMPATIBLE: usize = 0x64;
const RESERVED_GROUP: usize = 0x52;
const UUID: std::ops::Range<usize> = 0x68..0x78;
const LABEL: std::ops::Range<usize> = 0x78..0x88;
const HASH_SEED: std::ops::Range<usize> = 0xec..0xfc;
const BLOCKS_HIGH: usize = 0x150;
const CHECKSUM_TYPE: usize = 0x175;
const CHECKSUM: usize = 0x3fc;

const LARGE: u32 = 0x80;
const METADATA_CHECKSUMS: u32 = 0x400;
const CHECKSUM_SEED: u32 = 0x2000;
const CRC32C: u8 = 1;

/// What a machine's file system has of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// UUID of the file system.
    pub uuid: Uuid,
    /// Secret of the directory hashes: without one of its own, who knows it can make
    /// names collide.
    pub hash_seed: [u8; 16],
    /// Label, at most 16 bytes.
    pub label: String,
    /// Group whose processes may use the reserved blocks, besides root's.
    pub reserved_group: u16,
}

/// Why a superblock is not patched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// Not one of ext4.
    #[error("no ext4 superblock")]
    Magic,
    /// Its checksum is wrong.
    #[error("ext4 superblock does not match its checksum")]
    Checksum,
    /// It lacks a feature without which it cannot be patched: checksums whose seed is
    /// not the UUID, blocks of 4 KiB.
    #[error("ext4 superblock lacks {0}")]
    Feature(&'static str),
    /// The label is too long.
    #[error("label of {0} bytes; at most 16 fit")]
    Label(usize),
}

/// Gives a superblock another identity and the checksum that fits.
///
/// # Errors
/// It is not a superblock as the template's; it is as before then.
pub fn patch(
    superblock: &mut [u8; SUPERBLOCK_SIZE],
    identity: &Identity,
) -> Result<(), SuperblockError> {
    check(superblock)?;
    let label = identity.label.as_bytes();
    if label.len() > LABEL.len() {
        return Err(SuperblockError::Label(label.len()));
    }
    superblock[UUID].copy_from_slice(identity.uuid.as_bytes());
    superblock[HASH_SEED].copy_from_slice(&identity.hash_seed);
    superblock[LABEL].fill(0);
    superblock[LABEL][..label.len()].copy_from_slice(label);
    superblock[RESERVED_GROUP..RESERVED_GROUP + 2]
        .copy_from_slice(&identity.reserved_group.to_le_bytes());
    let sum = checksum(superblock);
    superblock[CHECKSUM..].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// How many blocks the file system has; `None` where this is no superblock of ext4.
pub fn block_count(superblock: &[u8; SUPERBLOCK_SIZE]) -> Option<u64> {
    if superblock[MAGIC..MAGIC + 2] != [0x53, 0xef] {
        return None;
    }
    let high = match word(superblock, INCOMPATIBLE) & LARGE {
        0 => 0,
        _ => word(superblock, BLOCKS_HIGH),
    };
    Some(u64::from(high) << 32 | u64::from(word(superblock, BLOCKS)))
}

fn check(superblock: &[u8; SUPERBLOCK_SIZE]) -> Result<(), SuperblockError> {
    if superblock[MAGIC..MAGIC + 2] != [0x53, 0xef] {
        return Err(SuperblockError::Magic);
    }
    if word(superblock, LOG_BLOCK_SIZE) != 2 {
        return Err(SuperblockError::Feature("blocks of 4 KiB"));
    }
    if word(superblock, READ_ONLY_COMPATIBLE) & METADATA_CHECKSUMS == 0
        || superblock[CHECKSUM_TYPE] != CRC32C
    {
        return Err(SuperblockError::Feature("metadata_csum"));
    }
    if word(superblock, INCOMPATIBLE) & CHECKSUM_SEED == 0 {
        return Err(SuperblockError::Feature("metadata_csum_seed"));
    }
    if word(superblock, CHECKSUM) != checksum(superblock) {
        return Err(SuperblockError::Checksum);
    }
    Ok(())
}

/// CRC-32C without the last inversion, over all but itself.
fn checksum(superblock: &[u8; SUPERBLOCK_SIZE]) -> u32 {
    !Crc::<u32>::new(&CRC_32_ISCSI).checksum(&superblock[..CHECKSUM])
}

fn word(superblock: &[u8; SUPERBLOCK_SIZE], position: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&superblock[position..position + 4]);
    u32::from_le_bytes(word)
}
