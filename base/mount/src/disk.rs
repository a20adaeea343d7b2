//! Writable file systems on disks: state and, for as long as it is needed, the ESP.
//! Neither holds programs, device nodes or anything that raises privilege.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{StatVfsMountFlags, statvfs},
    mount::{MountFlags, UnmountFlags, mount, unmount},
};

use crate::{MountError, unmount_now};

const STRICT: MountFlags = MountFlags::NOSUID
    .union(MountFlags::NODEV)
    .union(MountFlags::NOEXEC);

/// Mounts the ext4 of the state volume, writable, nosuid, nodev, noexec, with project
/// quotas enforced. Reading does not write (noatime). An error in its metadata makes it
/// read-only.
///
/// # Errors
/// The kernel refuses, for instance because the device holds no ext4.
pub fn mount_state(device: &Path, target: &Path) -> Result<(), MountError> {
    let options = c"prjquota,errors=remount-ro,nodiscard";
    mount(
        device,
        target,
        "ext4",
        STRICT | MountFlags::NOATIME,
        options,
    )
    .map_err(|error| failed(target, error.into()))
}

/// Whether the ESP can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EspAccess {
    /// It cannot.
    ReadOnly,
    /// It can.
    ReadWrite,
}

/// The ESP, mounted for as long as this lives. Files are the mounter's alone.
#[derive(Debug)]
#[must_use = "the ESP is unmounted when this is dropped"]
pub struct Esp {
    target: Option<PathBuf>,
}

impl Esp {
    /// Mounts the ESP, nosuid, nodev, noexec. The mount point must exist.
    ///
    /// # Errors
    /// The kernel refuses, for instance because the device holds no FAT.
    pub fn mount(device: &Path, target: &Path, access: EspAccess) -> Result<Self, MountError> {
        let mut flags = STRICT | MountFlags::NOATIME | MountFlags::NOSYMFOLLOW;
        flags.set(MountFlags::RDONLY, access == EspAccess::ReadOnly);
        mount(
            device,
            target,
            "vfat",
            flags,
            c"umask=0077,errors=remount-ro",
        )
        .map_err(|error| failed(target, error.into()))?;
        Ok(Self {
            target: Some(target.to_owned()),
        })
    }

    /// Where it is mounted.
    pub fn path(&self) -> &Path {
        self.target.as_deref().unwrap_or(Path::new(""))
    }

    /// Unmounts it; what was written is on the disk then.
    ///
    /// # Errors
    /// The kernel refuses, for instance because a file of it is open.
    pub fn unmount(mut self) -> Result<(), MountError> {
        match self.target.take() {
            Some(target) => unmount_now(&target),
            None => Ok(()),
        }
    }
}

impl Drop for Esp {
    /// For the way out through an error; [`Esp::unmount`] tells whether it worked.
    fn drop(&mut self) {
        if let Some(target) = self.target.take()
            && unmount_now(&target).is_err()
        {
            // A file of it is still open: hide it now, and let it go with that file.
            // Nobody is left to tell if even that fails.
            unmount(&target, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW).unwrap_or_default();
        }
    }
}

/// How full a file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// Bytes that it can hold.
    pub size: u64,
    /// Bytes that are free, those kept for root and the reserved group among them.
    pub free: u64,
    /// Bytes that anybody may still use.
    pub available: u64,
    /// Files that it can hold.
    pub files: u64,
    /// Files that can still be made.
    pub free_files: u64,
    /// Whether it cannot be written, for instance because it found an error in itself.
    pub read_only: bool,
}

/// Asks how full the file system of a path is. What the kernel counts in blocks is given
/// in bytes, never more than 2^64 - 1, and no part is larger than the whole.
///
/// # Errors
/// There is no such path, or the file system does not say.
pub fn usage(path: &Path) -> Result<Usage, MountError> {
    let found = statvfs(path).map_err(|error| MountError::Usage {
        path: path.to_owned(),
        source: error.into(),
    })?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    let size = bytes(found.f_blocks);
    let free = bytes(found.f_bfree).min(size);
    Ok(Usage {
        size,
        free,
        available: bytes(found.f_bavail).min(free),
        files: found.f_files,
        free_files: found.f_ffree.min(found.f_files),
        read_only: found.f_flag.contains(StatVfsMountFlags::RDONLY),
    })
}

fn failed(target: &Path, source: io::Error) -> MountError {
    MountError::Mount {
        path: target.to_owned(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usage_adds_up() {
        let usage = usage(Path::new("/")).unwrap();
        assert!(usage.available <= usage.free && usage.free <= usage.size);
        assert!(usage.free_files <= usage.files);
        assert!(super::usage(Path::new("/nowhere")).is_err());
    }
}
