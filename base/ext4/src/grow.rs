//! Growing to the device.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use bastide_sys::ext4;

use crate::BLOCK_SIZE;

/// Why a file system was not grown.
#[derive(Debug, thiserror::Error)]
pub enum GrowError {
    /// The mount point or the device cannot be opened.
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
/// One that has that size already stays as it is. Needs `CAP_SYS_RESOURCE`. A power cut
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
    let size = open(device)?
        .seek(SeekFrom::End(0))
        .map_err(|source| GrowError::Open {
            path: device.to_owned(),
            source,
        })?;
    let blocks = size / BLOCK_SIZE as u64;
    ext4::resize(root.as_fd(), blocks).map_err(|source| GrowError::Grow {
        path: mount_point.to_owned(),
        blocks,
        source,
    })
}
