//! Mounting file systems and switching root.
//!
//! Every mount is nosuid, nodev and noexec unless what it is for needs otherwise, and
//! the type says what that is; callers choose no flags. Nothing that can be written can
//! hold programs.
#![forbid(unsafe_code)]

mod disk;
mod memory;
mod switch_root;

use std::{
    ffi::CStr,
    io,
    path::{Path, PathBuf},
};

use rustix::mount::{MountFlags, UnmountFlags, mount, mount_move, mount_remount, unmount};

pub use disk::{Esp, EspAccess, Usage, mount_state, usage};
pub use memory::mount_memory;
pub use switch_root::switch_root;

/// File systems that the kernel makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Virtual {
    /// `proc`
    Processes,
    /// `sysfs`
    Kernel,
    /// `devtmpfs`: device nodes, as [`Virtual::Terminals`] has.
    Devices,
    /// `efivarfs`, read-only; see [`set_variables_writable`].
    FirmwareVariables,
    /// `securityfs`
    Security,
    /// `tmpfs` for `/run`, at most 64 MiB.
    Runtime,
    /// `tmpfs` for `/var`, at most 64 MiB.
    Variable,
    /// `tmpfs` for `/tmp` where anybody may make files of their own, at most 64 MiB.
    Temporary,
    /// `cgroup2`
    Groups,
    /// `devpts`
    Terminals,
}

/// Why a mount failed.
#[derive(Debug, thiserror::Error)]
pub enum MountError {
    /// The mount point cannot be made.
    #[error("cannot make directory {}", path.display())]
    Directory {
        /// Mount point.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses the mount.
    #[error("cannot mount {}", path.display())]
    Mount {
        /// Mount point.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses to change the mount.
    #[error("cannot remount {}", path.display())]
    Remount {
        /// Mount point.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel refuses the unmount.
    #[error("cannot unmount {}", path.display())]
    Unmount {
        /// Mount point.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file system does not say how full it is.
    #[error("cannot ask how full the file system of {} is", path.display())]
    Usage {
        /// The path.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A mount cannot be moved.
    #[error("cannot move {} to {}", from.display(), to.display())]
    Move {
        /// Where it is.
        from: PathBuf,
        /// Where it should go.
        to: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The present root is no file system in memory: its files must not be deleted.
    #[error("the present root is not in memory")]
    NotInMemory,
    /// A file of the old root cannot be looked at or deleted.
    #[error("cannot delete {} of the old root", path.display())]
    Delete {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The last steps of switching root failed.
    #[error("cannot switch root to {}", path.display())]
    Switch {
        /// The new root.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl Virtual {
    fn flags(self) -> MountFlags {
        let strict = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        match self {
            Self::Devices => MountFlags::NOSUID | MountFlags::NOEXEC,
            Self::FirmwareVariables => strict | MountFlags::RDONLY,
            // Device nodes too: a terminal is one.
            Self::Terminals => MountFlags::NOSUID | MountFlags::NOEXEC,
            Self::Processes
            | Self::Kernel
            | Self::Security
            | Self::Runtime
            | Self::Variable
            | Self::Temporary
            | Self::Groups => strict,
        }
    }

    fn kind(self) -> &'static str {
        match self {
            Self::Processes => "proc",
            Self::Kernel => "sysfs",
            Self::Devices => "devtmpfs",
            Self::FirmwareVariables => "efivarfs",
            Self::Security => "securityfs",
            Self::Runtime | Self::Variable | Self::Temporary => "tmpfs",
            Self::Groups => "cgroup2",
            Self::Terminals => "devpts",
        }
    }

    fn options(self) -> Option<&'static CStr> {
        match self {
            Self::Devices => Some(c"mode=0755"),
            Self::Runtime | Self::Variable => Some(c"mode=0755,size=64m,nr_inodes=16k"),
            Self::Temporary => Some(c"mode=1777,size=64m,nr_inodes=16k"),
            Self::Terminals => Some(c"mode=0600,ptmxmode=0666"),
            _ => None,
        }
    }
}

/// Mounts a file system that the kernel makes; the mount point must exist.
///
/// # Errors
/// The kernel refuses.
pub fn mount_virtual(what: Virtual, target: &Path) -> Result<(), MountError> {
    mount(
        what.kind(),
        target,
        what.kind(),
        what.flags(),
        what.options(),
    )
    .map_err(|error| MountError::Mount {
        path: target.to_owned(),
        source: error.into(),
    })
}

/// Makes a mount point, if it is not there, and mounts a file system that the kernel
/// makes.
///
/// # Errors
/// The directory cannot be made, or the kernel refuses.
pub fn mount_virtual_made(what: Virtual, target: &Path) -> Result<(), MountError> {
    match std::fs::create_dir(target) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(source) => {
            return Err(MountError::Directory {
                path: target.to_owned(),
                source,
            });
        }
    }
    mount_virtual(what, target)
}

/// Mounts a verified EROFS image whose programs may run: read-only, nosuid, nodev.
///
/// # Errors
/// The kernel refuses, for instance because the device holds no EROFS.
pub fn mount_image(device: &Path, target: &Path) -> Result<(), MountError> {
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV;
    mount(device, target, "erofs", flags, None).map_err(|error| MountError::Mount {
        path: target.to_owned(),
        source: error.into(),
    })
}

/// Changes whether the firmware's variables may be written.
///
/// # Errors
/// The kernel refuses, for instance because the firmware cannot write.
pub fn set_variables_writable(target: &Path, writable: bool) -> Result<(), MountError> {
    let mut flags = Virtual::FirmwareVariables.flags();
    flags.set(MountFlags::RDONLY, !writable);
    mount_remount(target, flags, c"").map_err(|error| MountError::Remount {
        path: target.to_owned(),
        source: error.into(),
    })
}

/// Moves a mount.
///
/// # Errors
/// The kernel refuses.
pub fn move_to(from: &Path, to: &Path) -> Result<(), MountError> {
    mount_move(from, to).map_err(|error| MountError::Move {
        from: from.to_owned(),
        to: to.to_owned(),
        source: error.into(),
    })
}

/// Unmounts; nothing may use the mount any more.
///
/// # Errors
/// The kernel refuses.
pub fn unmount_now(target: &Path) -> Result<(), MountError> {
    unmount(target, UnmountFlags::NOFOLLOW).map_err(|error| MountError::Unmount {
        path: target.to_owned(),
        source: error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_devices_may_hold_nodes_and_nothing_runs_or_raises() {
        for what in [
            Virtual::Processes,
            Virtual::Kernel,
            Virtual::Devices,
            Virtual::FirmwareVariables,
            Virtual::Security,
            Virtual::Runtime,
        ] {
            let flags = what.flags();
            assert!(flags.contains(MountFlags::NOSUID | MountFlags::NOEXEC));
            assert_eq!(flags.contains(MountFlags::NODEV), what != Virtual::Devices);
        }
    }
}
