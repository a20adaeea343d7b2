//! Where the parts of a Core lie: file system, hash area, error correction.
//!
//! ```text
//! | EROFS | superblock | hash tree | Reed-Solomon parity |
//! 0       hash offset  + 1 block   at the end of the tree
//! ```
//!
//! Everything follows from the hash offset, which is signed; nothing a disk says is
//! needed. The layout is what `veritysetup format --hash-offset --fec-offset
//! --fec-roots=2` writes with all three areas in one file, and the numbers for the
//! kernel are those that libcryptsetup computes for it.

/// Block size of data, hash tree and parity, in bytes.
pub const BLOCK_SIZE: u32 = 4096;

/// Parity bytes of each Reed-Solomon code word of 255 bytes.
pub const FEC_ROOTS: u32 = 2;

/// Bytes of one SHA-256 digest in the tree.
const DIGEST_SIZE: u64 = 32;

/// More than any Core will have, and small enough that no sum below overflows.
const LARGEST: u64 = 1 << 40;

/// Where the hash area starts, in bytes: a whole number of blocks, of which there
/// are at least two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashOffset(u64);

/// Why numbers describe no Core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum GeometryError {
    /// Not a multiple of [`BLOCK_SIZE`].
    #[error("hash offset {0} is no multiple of {BLOCK_SIZE}")]
    Unaligned(u64),
    /// Fewer than two blocks or more than 2^40 bytes.
    #[error("hash offset {0} is out of bounds")]
    OutOfBounds(u64),
}

impl HashOffset {
    /// Checks a number of bytes.
    ///
    /// # Errors
    /// An offset that is not whole blocks, or out of bounds.
    pub fn from_bytes(bytes: u64) -> Result<Self, GeometryError> {
        if !bytes.is_multiple_of(u64::from(BLOCK_SIZE)) {
            return Err(GeometryError::Unaligned(bytes));
        }
        if !(2 * u64::from(BLOCK_SIZE)..=LARGEST).contains(&bytes) {
            return Err(GeometryError::OutOfBounds(bytes));
        }
        Ok(Self(bytes))
    }

    /// The offset in bytes.
    pub const fn bytes(self) -> u64 {
        self.0
    }
}

/// The areas of a Core, in blocks of [`BLOCK_SIZE`] bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Blocks of the file system.
    pub data_blocks: u64,
    /// First block of the hash tree; the superblock is the one before.
    pub hash_start: u64,
    /// Blocks of the hash tree.
    pub hash_blocks: u64,
    /// First block of the parity area.
    pub fec_start: u64,
    /// Blocks that the parity protects: data and hash tree, not the superblock.
    pub fec_blocks: u64,
    /// Blocks of the parity area.
    pub parity_blocks: u64,
}

impl Geometry {
    /// Computes the areas from the hash offset.
    pub fn new(hash_offset: HashOffset) -> Self {
        let data_blocks = hash_offset.bytes() / u64::from(BLOCK_SIZE);
        let hash_start = data_blocks + 1;
        let hash_blocks = tree_blocks(data_blocks);
        let fec_blocks = data_blocks + hash_blocks;
        let message = u64::from(255 - FEC_ROOTS);
        Self {
            data_blocks,
            hash_start,
            hash_blocks,
            fec_start: hash_start + hash_blocks,
            fec_blocks,
            parity_blocks: fec_blocks.div_ceil(message) * u64::from(FEC_ROOTS),
        }
    }

    /// What `veritysetup --fec-offset` must be given, in bytes.
    pub fn fec_offset(&self) -> u64 {
        self.fec_start * u64::from(BLOCK_SIZE)
    }

    /// Bytes of the whole Core.
    pub fn size(&self) -> u64 {
        (self.fec_start + self.parity_blocks) * u64::from(BLOCK_SIZE)
    }
}

fn tree_blocks(data_blocks: u64) -> u64 {
    let digests = u64::from(BLOCK_SIZE) / DIGEST_SIZE;
    let mut level = data_blocks;
    let mut total = 0;
    while level > 1 {
        level = level.div_ceil(digests);
        total += level;
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Data blocks, hash blocks and parity blocks as `veritysetup format` (2.6.1)
    /// wrote them into one file.
    const WRITTEN_BY_VERITYSETUP: &[(u64, u64, u64)] = &[
        (2, 1, 2),
        (127, 1, 2),
        (128, 1, 2),
        (129, 3, 2),
        (253, 3, 4),
        (3000, 25, 24),
        (10240, 81, 82),
        (16384, 129, 132),
        (16385, 132, 132),
        (40000, 317, 320),
    ];

    #[test]
    fn areas_are_those_of_veritysetup() {
        for &(data, hash, parity) in WRITTEN_BY_VERITYSETUP {
            let geometry = Geometry::new(HashOffset::from_bytes(data * 4096).unwrap());
            assert_eq!(geometry.data_blocks, data);
            assert_eq!(geometry.hash_start, data + 1);
            assert_eq!(geometry.hash_blocks, hash, "{data}");
            assert_eq!(geometry.fec_start, data + 1 + hash);
            // VERITY_FEC_blocks() of libcryptsetup, areas in one file.
            assert_eq!(
                geometry.fec_blocks,
                geometry.fec_offset() / 4096 - geometry.hash_start + data
            );
            assert_eq!(geometry.parity_blocks, parity, "{data}");
            assert_eq!(geometry.size(), (data + 1 + hash + parity) * 4096);
        }
    }

    #[test]
    fn offsets_out_of_bounds_are_refused() {
        assert_eq!(
            HashOffset::from_bytes(4095),
            Err(GeometryError::Unaligned(4095))
        );
        for bytes in [0, 4096, (1 << 40) + 4096, u64::MAX - 4095] {
            assert_eq!(
                HashOffset::from_bytes(bytes),
                Err(GeometryError::OutOfBounds(bytes))
            );
        }
        let largest = Geometry::new(HashOffset::from_bytes(1 << 40).unwrap());
        assert!(largest.size() > 1 << 40);
    }
}
