//! The superblock that dm-integrity writes where the data begins (`struct superblock`
//! of `drivers/md/dm-integrity.c`). Numbers are little-endian.

/// Bytes that dm-integrity looks at.
pub const SUPERBLOCK_SIZE: usize = 512;

const SECTOR_SHIFT: u32 = 9;
const LATEST_VERSION: u8 = 6;

/// What dm-integrity made of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IntegritySuperblock {
    /// Sectors of 512 bytes that the device offers.
    pub data_sectors: u64,
    /// Bytes kept for each block.
    pub tag_size: u16,
    /// Bytes of a block.
    pub block_size: u32,
}

/// Why a superblock is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SuperblockError {
    /// Fewer bytes than [`SUPERBLOCK_SIZE`].
    #[error("dm-integrity superblock is cut off")]
    Short,
    /// It does not begin with "integrt\0".
    #[error("no dm-integrity superblock")]
    Magic,
    /// A version that cryptsetup does not know.
    #[error("dm-integrity superblock has version {0}")]
    Version(u8),
    /// A block is larger than a page, or there are no whole blocks.
    #[error("dm-integrity superblock has {0}")]
    Shape(&'static str),
}

impl IntegritySuperblock {
    /// Reads a superblock.
    ///
    /// # Errors
    /// The first field that is not as it must be.
    pub fn parse(bytes: &[u8]) -> Result<Self, SuperblockError> {
        let bytes: &[u8; SUPERBLOCK_SIZE] = bytes.first_chunk().ok_or(SuperblockError::Short)?;
        if bytes[..8] != *b"integrt\0" {
            return Err(SuperblockError::Magic);
        }
        if !(1..=LATEST_VERSION).contains(&bytes[8]) {
            return Err(SuperblockError::Version(bytes[8]));
        }
        let block_shift = u32::from(bytes[28]);
        if block_shift > 3 {
            return Err(SuperblockError::Shape("blocks larger than a page"));
        }
        let mut sectors = [0; 8];
        sectors.copy_from_slice(&bytes[16..24]);
        let data_sectors = u64::from_le_bytes(sectors);
        let whole = data_sectors.is_multiple_of(1 << block_shift);
        if data_sectors == 0 || !whole || data_sectors > i64::MAX as u64 >> SECTOR_SHIFT {
            return Err(SuperblockError::Shape("an impossible number of sectors"));
        }
        Ok(Self {
            data_sectors,
            tag_size: u16::from_le_bytes([bytes[10], bytes[11]]),
            block_size: 1 << (block_shift + SECTOR_SHIFT),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> [u8; SUPERBLOCK_SIZE] {
        let mut bytes = [0; SUPERBLOCK_SIZE];
        bytes[..8].copy_from_slice(b"integrt\0");
        bytes[8] = 4;
        bytes[9] = 15;
        bytes[10] = 48;
        bytes[16..24].copy_from_slice(&8_000_u64.to_le_bytes());
        bytes[28] = 3;
        bytes
    }

    #[test]
    fn fields_are_read() {
        assert_eq!(
            IntegritySuperblock::parse(&good()),
            Ok(IntegritySuperblock {
                data_sectors: 8_000,
                tag_size: 48,
                block_size: 4096,
            })
        );
    }

    #[test]
    fn nonsense_is_refused() {
        let refused = |position: usize, value: u8| {
            let mut bytes = good();
            bytes[position] = value;
            IntegritySuperblock::parse(&bytes).unwrap_err()
        };
        assert_eq!(refused(0, 0), SuperblockError::Magic);
        assert_eq!(refused(8, 0), SuperblockError::Version(0));
        assert_eq!(refused(8, 7), SuperblockError::Version(7));
        assert!(matches!(refused(28, 4), SuperblockError::Shape(_)));
        assert!(matches!(refused(16, 1), SuperblockError::Shape(_)));
        assert!(matches!(refused(23, 0xff), SuperblockError::Shape(_)));
        assert_eq!(
            IntegritySuperblock::parse(&good()[..511]),
            Err(SuperblockError::Short)
        );
        assert!(IntegritySuperblock::parse(&[0; 512]).is_err());
    }
}
