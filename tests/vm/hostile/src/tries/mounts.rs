//! Getting another view of the file system.

use anyhow::Result;
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, mount, mount_remount};
use rustix::process::chroot;

/// Mounts a file system over a directory.
pub fn mount_memory() -> Result<()> {
    Ok(mount("none", "/tmp", "tmpfs", MountFlags::empty(), None)?)
}

/// Makes what is read-only writable.
pub fn remount() -> Result<()> {
    Ok(mount_remount("/usr", MountFlags::BIND, "")?)
}

/// Becomes root in a user namespace, from which most attacks on the kernel start.
pub fn user_namespace() -> Result<()> {
    Ok(unshare(CloneFlags::CLONE_NEWUSER)?)
}

/// Changes the root directory.
pub fn change_root() -> Result<()> {
    Ok(chroot("/tmp")?)
}
