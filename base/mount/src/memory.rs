//! Directories in memory.

use std::{ffi::CString, io, path::Path};

use rustix::mount::{MountFlags, mount};

use crate::MountError;

/// Mounts an empty directory in memory that belongs to a user (and the group of the same
/// number) and to nobody else, of this size at most; nosuid, nodev, noexec. The mount
/// point must exist.
///
/// # Errors
/// The kernel refuses.
pub fn mount_memory(target: &Path, user: u32, size_kib: u32) -> Result<(), MountError> {
    let options = format!("mode=0700,uid={user},gid={user},size={size_kib}k,nr_inodes=4k");
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    CString::new(options)
        .map_err(io::Error::from)
        .and_then(|options| Ok(mount("tmpfs", target, "tmpfs", flags, options.as_c_str())?))
        .map_err(|source| MountError::Mount {
            path: target.to_owned(),
            source,
        })
}
