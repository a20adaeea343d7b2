//! `mount_setattr(2)`.

use std::io;
use std::ops::BitOr;
use std::os::fd::{AsRawFd, BorrowedFd};

/// Restrictions of a mount (linux/mount.h); they are only ever added here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes(u64);

impl Attributes {
    /// `MOUNT_ATTR_RDONLY`
    pub const READ_ONLY: Self = Self(0x1);
    /// `MOUNT_ATTR_NOSUID`
    pub const NO_SETUID: Self = Self(0x2);
    /// `MOUNT_ATTR_NODEV`
    pub const NO_DEVICES: Self = Self(0x4);
    /// `MOUNT_ATTR_NOEXEC`
    pub const NO_EXECUTION: Self = Self(0x8);
}

impl BitOr for Attributes {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// `struct mount_attr`, version 0.
#[repr(C)]
struct MountAttr {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

/// Adds restrictions to the mount whose root `mount` is open on; `recursive`: to
/// all mounts below it as well.
///
/// # Errors
/// What the kernel says; `EINVAL` where the descriptor is not of a mount's root.
pub fn add(mount: BorrowedFd<'_>, attributes: Attributes, recursive: bool) -> io::Result<()> {
    let attr = MountAttr {
        set: attributes.0,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    let mut flags = libc::AT_EMPTY_PATH;
    if recursive {
        flags |= libc::AT_RECURSIVE;
    }
    // SAFETY: the path is an empty NUL-terminated string, and `attr` is readable for
    // the size told for the duration of the call, which keeps no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            &raw const attr,
            size_of::<MountAttr>(),
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_no_mount_is_refused() {
        let file = File::open("/proc/self/status").unwrap();
        let all = Attributes::READ_ONLY | Attributes::NO_SETUID;
        assert!(add(file.as_fd(), all, false).is_err());
    }
}
