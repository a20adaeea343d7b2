//! Growing to the device.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    os::{fd::AsFd, unix::fs::FileExt},
    path::{Path, PathBuf},
};

use bastide_sys::ext4;

use crate::{
    BLOCK_SIZE,
    superblock::{SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, block_count},
};

/// Why a file system was not grown.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// The mount point or the device cannot be opened or read.
    #[error("cannot open {}", path.display())]
    Open {
        /// Which.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses.
    #[error("cannot grow {} to {blocks} blocks", path.display())]
    Grow {
        /// Mount point.
        path: PathBuf,
        /// Blocks of 4 KiB.
        blocks: u64,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Grows the file system that is mounted at `mount_point` to the size of its device.
/// The kernel is not asked to where it has that size already: it refuses everything once
/// the file system found an error in itself. Needs `CAP_SYS_RESOURCE`. A power cut
/// in between leaves a file system of a size in between.
///
/// # Errors
/// The kernel refuses, for instance because the file system has errors.
pub fn grow(mount_point: &Path, device: &Path) -> Result<(), GrowError> {
    let open = |path: &Path| {
        File::open(path).map_err(|source| GrowError::Open {
            path: path.to_owned(),
            source,
        })
    };
    let root = open(mount_point)?;
    let mut superblock = [0; SUPERBLOCK_SIZE];
    let mut disk = open(device)?;
    let size = disk
        .seek(SeekFrom::End(0))
        .and_then(|size| {
            disk.read_exact_at(&mut superblock, SUPERBLOCK_OFFSET)?;
            Ok(size)
        })
        .map_err(|source| GrowError::Open {
            path: device.to_owned(),
            source,
        })?;
    let blocks = size / BLOCK_SIZE as u64;
    if block_count(&superblock).is_some_and(|present| present >= blocks) {
        return Ok(());
    }
    ext4::resize(root.as_fd(), blocks).map_err(|source| GrowError::Grow {
        path: mount_point.to_owned(),
        blocks,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_is_large_enough_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("device");
        let device = File::options()
            .create_new(true)
            .write(true)
            .open(&path)
            .unwrap();
        device.set_len(256 * BLOCK_SIZE as u64).unwrap();
        let start = SUPERBLOCK_OFFSET;
        device.write_all_at(&[0x53, 0xef], start + 0x38).unwrap();
        let grown = |blocks: u32| {
            device
                .write_all_at(&blocks.to_le_bytes(), start + 4)
                .unwrap();
            // No ext4 is mounted there: the kernel refuses whatever it is asked.
            grow(folder.path(), &path)
        };
        assert!(grown(256).is_ok());
        assert!(matches!(
            grown(255),
            Err(GrowError::Grow { blocks: 256, .. })
        ));
    }
}
