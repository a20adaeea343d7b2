//! A partition or an image of one, read and written past the page cache.
//!
//! dm-integrity writes its superblock on its own way to the disk: the page cache would
//! go on showing the zeros that were there before.

use std::{
    fs::{File, OpenOptions},
    io::{self, Seek, SeekFrom},
    os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use bastide_disk::DeviceNumber;
use rustix::fs::{OFlags, major, minor};

use crate::LuksError;

/// What reads and writes must be aligned to: the largest block of any disk.
pub const ALIGNMENT: usize = 4096;

/// A buffer that is aligned for direct I/O.
#[derive(Debug)]
pub struct Aligned {
    bytes: Vec<u8>,
    start: usize,
    length: usize,
}

impl Aligned {
    /// Zeros; the length is rounded up to whole blocks.
    pub fn zeros(length: usize) -> Self {
        let length = length.next_multiple_of(ALIGNMENT);
        let bytes = vec![0; length + ALIGNMENT];
        let start = bytes.as_ptr().align_offset(ALIGNMENT);
        Self {
            bytes,
            start,
            length,
        }
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes[self.start..self.start + self.length]
    }

    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[self.start..self.start + self.length]
    }
}

#[derive(Debug)]
pub struct Device {
    file: File,
    path: PathBuf,
    number: Option<DeviceNumber>,
    size: u64,
}

impl Device {
    pub fn open(path: &Path) -> Result<Self, LuksError> {
        let failed = |source| LuksError::Open {
            path: path.to_owned(),
            source,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        let found = std::fs::metadata(path).map_err(failed)?;
        let number = found.file_type().is_block_device().then(|| DeviceNumber {
            major: major(found.rdev()),
            minor: minor(found.rdev()),
        });
        if number.is_some() {
            // Files, which tests use, may lie on what knows no direct I/O.
            options.custom_flags(OFlags::DIRECT.bits() as i32);
        }
        let mut file = options.open(path).map_err(failed)?;
        let size = file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self {
            file,
            path: path.to_owned(),
            number,
            size,
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn size(&self) -> u64 {
        self.size
    }

    /// Number of the block device.
    pub fn number(&self) -> Result<DeviceNumber, LuksError> {
        self.number
            .ok_or_else(|| LuksError::NoDevice(self.path.clone()))
    }

    /// Reads so many bytes from an offset of whole blocks.
    pub fn read(&self, offset: u64, length: usize) -> Result<Aligned, LuksError> {
        let mut buffer = Aligned::zeros(length);
        self.file
            .read_exact_at(buffer.bytes_mut(), offset)
            .map_err(|source| LuksError::Read {
                path: self.path.clone(),
                offset,
                source,
            })?;
        Ok(buffer)
    }

    /// Writes whole blocks; they are on the disk when it returns.
    pub fn write(&self, offset: u64, bytes: &[u8]) -> Result<(), LuksError> {
        let mut buffer = Aligned::zeros(bytes.len());
        buffer.bytes_mut()[..bytes.len()].copy_from_slice(bytes);
        self.write_aligned(offset, &buffer)?;
        self.sync()
    }

    /// Writes what is aligned already, without waiting for the disk's own cache.
    pub fn write_aligned(&self, offset: u64, buffer: &Aligned) -> Result<(), LuksError> {
        self.file
            .write_all_at(buffer.bytes(), offset)
            .map_err(|source| self.write_failed(offset, source))
    }

    /// Waits until everything is on the disk.
    pub fn sync(&self) -> Result<(), LuksError> {
        self.file
            .sync_data()
            .map_err(|source| self.write_failed(0, source))
    }

    fn write_failed(&self, offset: u64, source: io::Error) -> LuksError {
        LuksError::Write {
            path: self.path.clone(),
            offset,
            source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_are_aligned_and_whole() {
        for length in [1, 512, 4096, 4097, 1 << 20] {
            let mut buffer = Aligned::zeros(length);
            assert!(buffer.bytes().len() >= length);
            assert!(buffer.bytes().len().is_multiple_of(ALIGNMENT));
            assert_eq!(buffer.bytes_mut().as_ptr().align_offset(ALIGNMENT), 0);
        }
    }
}
