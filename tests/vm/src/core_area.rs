//! The Core on a disk, block by block.

use anyhow::{Context, Result};
use bastide_boot::{BLOCK_SIZE, Geometry};

use crate::bench::{Bench, read};
use crate::disk_copy::{DiskCopy, Extent};

const BLOCK: u64 = BLOCK_SIZE as u64;

/// SHA-256 digests in a block of the hash tree.
const DIGESTS: u64 = BLOCK / 32;

/// The Core of slot a on a disk copy.
#[derive(Debug)]
pub struct CoreArea<'bench> {
    bench: &'bench Bench,
    disk: &'bench DiskCopy,
    place: Extent,
    geometry: Geometry,
}

impl<'bench> CoreArea<'bench> {
    /// Finds it.
    pub fn new(bench: &'bench Bench, disk: &'bench DiskCopy) -> Result<Self> {
        Ok(Self {
            bench,
            disk,
            place: disk.partition("core-a")?,
            geometry: bench.geometry()?,
        })
    }

    /// The Core's areas.
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// Where the Core starts on the disk, in bytes.
    pub fn start(&self) -> u64 {
        self.place.start
    }

    /// The offset of a data block on the disk.
    pub fn data_block(&self, number: u64) -> u64 {
        self.place.start + number * BLOCK
    }

    /// The offset of the verity superblock.
    pub fn superblock(&self) -> u64 {
        self.data_block(self.geometry.data_blocks)
    }

    /// The offset of the hash block that vouches for data block `number`. The tree
    /// starts with its root, so the leaves are at its end.
    pub fn leaf_hash_block(&self, number: u64) -> u64 {
        let leaves = self.geometry.data_blocks.div_ceil(DIGESTS);
        let first_leaf = self.geometry.hash_start + self.geometry.hash_blocks - leaves;
        self.data_block(first_leaf + number / DIGESTS)
    }

    /// Spoils the block at an offset.
    pub fn invert_block(&self, offset: u64) -> Result<()> {
        self.disk.invert(offset, BLOCK_SIZE as usize)
    }

    /// Spoils the whole hash tree.
    pub fn invert_hash_tree(&self) -> Result<()> {
        self.invert_blocks(self.geometry.hash_start, self.geometry.hash_blocks)
    }

    /// Spoils all parity, so that nothing can be repaired.
    pub fn invert_parity(&self) -> Result<()> {
        self.invert_blocks(self.geometry.fec_start, self.geometry.parity_blocks)
    }

    fn invert_blocks(&self, first: u64, count: u64) -> Result<()> {
        (first..first + count).try_for_each(|block| self.invert_block(self.data_block(block)))
    }

    /// The data blocks that hold PID 1, from what dump.erofs said of it.
    pub fn init_blocks(&self) -> Result<Vec<u64>> {
        let text = String::from_utf8(read(&self.bench.material_path("init.extents"))?)?;
        let mut blocks: Vec<u64> = text
            .lines()
            .map(extent_blocks)
            .collect::<Result<Vec<_>>>()?
            .concat();
        blocks.sort_unstable();
        blocks.dedup();
        anyhow::ensure!(!blocks.is_empty(), "init.extents names no block");
        Ok(blocks)
    }
}

/// The blocks of a line `0: 0..12794 | 12794 : 4096..8192 | 4096`.
fn extent_blocks(line: &str) -> Result<Vec<u64>> {
    let physical = line.rsplit(':').next().unwrap_or_default();
    let (range, _) = physical
        .split_once('|')
        .context("an extent has no length")?;
    let (start, end) = range.split_once("..").context("an extent has no end")?;
    let start: u64 = start.trim().parse().context("an extent has no start")?;
    let end: u64 = end.trim().parse().context("an extent has no end")?;
    Ok((start / BLOCK..end.div_ceil(BLOCK)).collect())
}

#[cfg(test)]
mod tests {
    use super::extent_blocks;

    #[test]
    fn dump_erofs_is_understood() {
        let line = "   1:    12794..   27184 |   14390 :       8192..     16384 |    8192";
        assert_eq!(extent_blocks(line).unwrap(), [2, 3]);
        assert!(extent_blocks("nothing").is_err());
    }
}
