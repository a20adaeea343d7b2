//! Templates: the blocks of a file system that are not zero.
//!
//! A header of 32 bytes: `bastide-sparse` and two zeros; version (u32, 1); size of a
//! block (u32, 4096); size of the whole in bytes (u64). Then records, each an offset in
//! bytes (u64, whole blocks, rising) and a block. Numbers are little-endian.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    os::unix::fs::FileExt,
    path::Path,
};

use crate::superblock::{Identity, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, SuperblockError, patch};

/// Bytes of a block.
pub const BLOCK_SIZE: usize = 4096;

const MAGIC: &[u8; 16] = b"bastide-sparse\0\0";
const HEADER_SIZE: usize = 32;
const RECORD_SIZE: usize = 8 + BLOCK_SIZE;

/// The largest file system that a template may be of, in bytes.
const LARGEST: u64 = 1024 * 1024 * 1024;

/// A template whose shape is valid.
#[derive(Debug, Clone, Copy)]
pub struct Template<'template> {
    size: u64,
    records: &'template [u8],
}

/// Why a template is refused or cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    /// It does not begin as one does.
    #[error("no template of a file system")]
    Magic,
    /// A version other than 1, or blocks of another size.
    #[error("template of a file system has version {version} and blocks of {block_size} bytes")]
    Version {
        /// Version.
        version: u32,
        /// Bytes of a block.
        block_size: u32,
    },
    /// Its size is zero, not whole blocks, or larger than 1 GiB.
    #[error("template is of a file system of {0} bytes")]
    Size(u64),
    /// A record is cut off, out of order or beyond the end.
    #[error("record {0} of the template is malformed")]
    Record(usize),
    /// There is no superblock in it.
    #[error("template has no superblock")]
    NoSuperblock,
    /// The superblock cannot be patched.
    #[error("superblock of the template")]
    Superblock(#[source] SuperblockError),
    /// The device is smaller than the template.
    #[error("device of {device} bytes is smaller than the template of {template}")]
    Small {
        /// Bytes of the device.
        device: u64,
        /// Bytes of the template.
        template: u64,
    },
    /// The device cannot be written.
    #[error("cannot write the file system at byte {offset}")]
    Write {
        /// Where.
        offset: u64,
        /// What the kernel said.
        source: io::Error,
    },
}

impl<'template> Template<'template> {
    /// Reads a template.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn parse(bytes: &'template [u8]) -> Result<Self, TemplateError> {
        let (header, records) = bytes
            .split_at_checked(HEADER_SIZE)
            .ok_or(TemplateError::Magic)?;
        if header[..MAGIC.len()] != *MAGIC {
            return Err(TemplateError::Magic);
        }
        let (version, block_size) = (word(header, 16), word(header, 20));
        if version != 1 || block_size as usize != BLOCK_SIZE {
            return Err(TemplateError::Version {
                version,
                block_size,
            });
        }
        let size = number(header, 24);
        if size == 0 || size > LARGEST || !size.is_multiple_of(BLOCK_SIZE as u64) {
            return Err(TemplateError::Size(size));
        }
        let template = Self { size, records };
        let mut least = 0;
        for (index, record) in records.chunks(RECORD_SIZE).enumerate() {
            let offset = (record.len() == RECORD_SIZE).then(|| number(record, 0));
            let block = BLOCK_SIZE as u64;
            let good = offset.is_some_and(|offset| {
                offset >= least && offset.is_multiple_of(block) && offset < size
            });
            if !good {
                return Err(TemplateError::Record(index));
            }
            least = offset.unwrap_or_default() + block;
        }
        match template.blocks().next() {
            Some((0, _)) => Ok(template),
            _ => Err(TemplateError::NoSuperblock),
        }
    }

    /// Bytes of the file system.
    pub fn size(&self) -> u64 {
        self.size
    }

    fn blocks(&self) -> impl Iterator<Item = (u64, &'template [u8])> {
        self.records
            .chunks_exact(RECORD_SIZE)
            .map(|record| (number(record, 0), &record[8..]))
    }

    /// Writes the file system with an identity of its own to a device that reads as
    /// zeros. The superblock goes last, once all else is on the disk: a power cut
    /// leaves no file system rather than half of one.
    ///
    /// # Errors
    /// The device is too small or cannot be written, or the superblock cannot be
    /// patched.
    pub fn write(&self, device: &Path, identity: &Identity) -> Result<(), TemplateError> {
        let failed = |offset| move |source| TemplateError::Write { offset, source };
        let mut file = File::options()
            .read(true)
            .write(true)
            .open(device)
            .map_err(failed(0))?;
        let room = file.seek(SeekFrom::End(0)).map_err(failed(0))?;
        if room < self.size {
            return Err(TemplateError::Small {
                device: room,
                template: self.size,
            });
        }
        let mut first = [0; BLOCK_SIZE];
        for (offset, block) in self.blocks() {
            if offset == 0 {
                first.copy_from_slice(block);
            } else {
                file.write_all_at(block, offset).map_err(failed(offset))?;
            }
        }
        file.sync_data().map_err(failed(0))?;
        patch_block(&mut first, identity).map_err(TemplateError::Superblock)?;
        file.write_all_at(&first, 0)
            .and_then(|()| file.sync_data())
            .map_err(failed(0))
    }
}

fn patch_block(block: &mut [u8; BLOCK_SIZE], identity: &Identity) -> Result<(), SuperblockError> {
    let mut superblock = [0; SUPERBLOCK_SIZE];
    let place = &mut block[SUPERBLOCK_OFFSET as usize..][..SUPERBLOCK_SIZE];
    superblock.copy_from_slice(place);
    patch(&mut superblock, identity)?;
    place.copy_from_slice(&superblock);
    Ok(())
}

fn word(bytes: &[u8], position: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[position..position + 4]);
    u32::from_le_bytes(word)
}

fn number(bytes: &[u8], position: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[position..position + 8]);
    u64::from_le_bytes(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(version: u32, block_size: u32, size: u64) -> Vec<u8> {
        [
            &MAGIC[..],
            &version.to_le_bytes(),
            &block_size.to_le_bytes(),
            &size.to_le_bytes(),
        ]
        .concat()
    }

    fn with_records(size: u64, offsets: &[u64]) -> Vec<u8> {
        let mut bytes = header(1, 4096, size);
        for offset in offsets {
            bytes.extend(offset.to_le_bytes());
            bytes.extend([0x5e; BLOCK_SIZE]);
        }
        bytes
    }

    #[test]
    fn shapes_are_read() {
        let bytes = with_records(1 << 20, &[0, 4096, (1 << 20) - 4096]);
        let template = Template::parse(&bytes).unwrap();
        assert_eq!(template.size(), 1 << 20);
        assert_eq!(template.blocks().count(), 3);
    }

    #[test]
    fn malformed_templates_are_refused() {
        for size in [0, 4095, 4097, LARGEST + 4096, u64::MAX] {
            let bytes = with_records(size, &[0]);
            assert!(matches!(
                Template::parse(&bytes),
                Err(TemplateError::Size(_))
            ));
        }
        for (index, offsets) in [
            (0, &[1][..]),
            (0, &[1 << 20]),
            (0, &[u64::MAX - 4095]),
            (1, &[0, 0]),
            (2, &[0, 8192, 4096]),
        ] {
            let bytes = with_records(1 << 20, offsets);
            let error = Template::parse(&bytes).unwrap_err();
            assert!(matches!(error, TemplateError::Record(found) if found == index));
        }
        for offsets in [&[][..], &[4096]] {
            assert!(matches!(
                Template::parse(&with_records(1 << 20, offsets)),
                Err(TemplateError::NoSuperblock)
            ));
        }
        let bytes = with_records(1 << 20, &[0]);
        assert!(Template::parse(&bytes[..bytes.len() - 1]).is_err());
        assert!(Template::parse(&bytes[..31]).is_err());
        for (version, block_size) in [(2, 4096), (1, 512)] {
            assert!(Template::parse(&header(version, block_size, 1 << 20)).is_err());
        }
    }
}
