//! Where dm-integrity keeps tags and data (drivers/md/dm-integrity.c, `struct superblock`
//! and `calculate_device_limits`), so that exactly one of them can be spoilt.

use anyhow::{Result, ensure};

const MAGIC: &[u8] = b"integrt\0";
const SECTOR: u64 = 512;

/// Sectors of the superblock.
const SUPERBLOCK: u64 = 8;

/// Blocks of a journal section whose entries are described before their data.
const JOURNAL_BLOCKS: u64 = 8;

/// Where the superblock has the size of a tag.
pub const TAG_SIZE_OFFSET: u64 = 10;

const FLAG_JOURNAL_MAC: u32 = 1;
const FLAG_FIXED_PADDING: u32 = 8;

/// What the superblock says of the layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a tag.
    pub tag: u64,
    /// Sectors of 512 bytes in a block.
    pub block: u64,
    journal_sections: u64,
    /// Sectors of data between two runs of tags.
    interleave: u64,
    flags: u32,
}

fn little(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .rev()
        .fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

impl Layout {
    /// Reads a superblock.
    pub fn parse(superblock: &[u8]) -> Result<Self> {
        ensure!(
            superblock.len() >= 64 && superblock.starts_with(MAGIC),
            "no superblock of dm-integrity"
        );
        let (interleave, block) = (superblock[9], superblock[28]);
        ensure!(
            interleave < 32 && block <= 3 && block <= interleave,
            "a superblock of dm-integrity with impossible sizes"
        );
        let flags = u32::try_from(little(&superblock[24..28]))?;
        let layout = Self {
            tag: little(&superblock[10..12]),
            block: 1 << block,
            journal_sections: little(&superblock[12..16]),
            interleave: 1 << interleave,
            flags,
        };
        ensure!(
            (1..=256).contains(&layout.tag) && layout.journal_sections < 1 << 20,
            "a superblock of dm-integrity with impossible numbers"
        );
        Ok(layout)
    }

    /// Bytes from the start of the segment to the tag of the first block.
    pub fn first_tag(&self) -> u64 {
        // An entry: its sector, the last bytes of each of its sectors, its tag.
        let entry = (8 + 8 * self.block + self.tag).next_multiple_of(8);
        let mac = if self.flags & FLAG_JOURNAL_MAC == 0 {
            0
        } else {
            8
        };
        let entries = (SECTOR - 8 - mac) / entry * JOURNAL_BLOCKS;
        let section = entries * self.block + JOURNAL_BLOCKS;
        (SUPERBLOCK + section * self.journal_sections) * SECTOR
    }

    /// Bytes of a run of tags, padding included.
    fn run(&self) -> u64 {
        let padding = if self.flags & FLAG_FIXED_PADDING == 0 {
            SECTOR << 8
        } else {
            SECTOR * 8
        };
        (self.tag * (self.interleave / self.block)).next_multiple_of(padding)
    }

    /// Bytes from the start of the segment to the first block of data.
    pub fn first_sector(&self) -> u64 {
        self.block_at(0)
    }

    /// Bytes from the start of the segment to block `number` of the data.
    pub fn block_at(&self, number: u64) -> u64 {
        let (area, within) = self.area_of(number);
        area + self.run() + within * self.block * SECTOR
    }

    /// Bytes from the start of the segment to that block's tag.
    pub fn tag_at(&self, number: u64) -> u64 {
        let (area, within) = self.area_of(number);
        area + within * self.tag
    }

    /// Where the run of tags starts that a block's is in, and the block's place behind it.
    fn area_of(&self, number: u64) -> (u64, u64) {
        let blocks = self.interleave / self.block;
        let length = self.run() + self.interleave * SECTOR;
        (self.first_tag() + number / blocks * length, number % blocks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn superblock(tag: u8, sections: u32, interleave: u8, flags: u32, block: u8) -> Vec<u8> {
        let mut bytes = vec![0; 512];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8] = 5;
        bytes[9] = interleave;
        bytes[10] = tag;
        bytes[12..16].copy_from_slice(&sections.to_le_bytes());
        bytes[24..28].copy_from_slice(&flags.to_le_bytes());
        bytes[28] = block;
        bytes
    }

    #[test]
    fn the_places_are_those_of_the_kernel() {
        // 28-byte tags, blocks of 4096: entries of 8+64+28 -> 104 bytes, 4 in a sector of
        // 504, 32 in a section, which takes 32*8+8 = 264 sectors.
        let layout = Layout::parse(&superblock(28, 10, 15, FLAG_FIXED_PADDING, 3)).unwrap();
        assert_eq!(layout.first_tag(), (8 + 264 * 10) * 512);
        // 4096 tags of 28 bytes are 28 whole blocks.
        assert_eq!(layout.first_sector(), layout.first_tag() + 28 * 4096);
        assert_eq!(layout.block_at(0), layout.first_sector());
        assert_eq!(layout.tag_at(1), layout.first_tag() + 28);
        // The second area: 4096 blocks and their tags further.
        let area = 28 * 4096 + 4096 * 4096;
        assert_eq!(layout.tag_at(4096), layout.first_tag() + area);
        assert_eq!(layout.block_at(4097), layout.first_sector() + area + 4096);
        let legacy = Layout::parse(&superblock(28, 10, 15, 0, 3)).unwrap();
        assert_eq!(legacy.first_sector(), legacy.first_tag() + 128 * 1024);
    }

    #[test]
    fn what_is_no_superblock_is_refused() {
        assert!(Layout::parse(&[0; 512]).is_err());
        assert!(Layout::parse(MAGIC).is_err());
        assert!(Layout::parse(&superblock(0, 1, 15, 0, 3)).is_err());
        assert!(Layout::parse(&superblock(28, 1, 15, 0, 9)).is_err());
    }
}
