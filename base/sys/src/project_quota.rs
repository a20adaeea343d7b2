//! Project quotas: `FS_IOC_FSGETXATTR`, `FS_IOC_FSSETXATTR` (linux/fs.h) and
//! `quotactl_fd(2)`.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct fsxattr`
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct FileAttributes {
    flags: u32,
    extent_size: u32,
    extents: u32,
    project: u32,
    copy_on_write_extent_size: u32,
    padding: [u8; 8],
}

/// What is made in the directory belongs to its project too (`FS_XFLAG_PROJINHERIT`).
const INHERIT: u32 = 0x200;

/// `_IOR('X', 31, struct fsxattr)` and `_IOW('X', 32, struct fsxattr)`
const GET: libc::Ioctl = 0x801c_581f;
const SET: libc::Ioctl = 0x401c_5820;

/// `struct if_dqblk` (linux/quota.h)
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Quota {
    blocks_hard: u64,
    blocks_soft: u64,
    space: u64,
    inodes_hard: u64,
    inodes_soft: u64,
    inodes: u64,
    block_time: u64,
    inode_time: u64,
    valid: u32,
}

const LIMITS_OF_BLOCKS: u32 = 1;
const LIMITS_OF_INODES: u32 = 4;

/// Makes a directory, and what is made in it from now on, part of a project.
///
/// # Errors
/// What the kernel says; `ENOTTY` or `EOPNOTSUPP` where the file system has no projects.
pub fn assign(directory: BorrowedFd<'_>, project: u32) -> io::Result<()> {
    let mut attributes = FileAttributes::default();
    // SAFETY: the kernel writes one `struct fsxattr`, whose layout and size are those
    // of `attributes`, which is exclusively borrowed.
    let got = unsafe { libc::ioctl(directory.as_raw_fd(), GET, &raw mut attributes) };
    if got < 0 {
        return Err(io::Error::last_os_error());
    }
    if attributes.project == project && attributes.flags & INHERIT != 0 {
        return Ok(());
    }
    attributes.project = project;
    attributes.flags |= INHERIT;
    // SAFETY: the kernel reads one `struct fsxattr` and keeps no pointer.
    let set = unsafe { libc::ioctl(directory.as_raw_fd(), SET, &raw const attributes) };
    if set < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Limits what a project may hold on the file system that `place` is on, in bytes
/// (rounded down to KiB) and in files: `Q_SETQUOTA` of `PRJQUOTA`.
///
/// # Errors
/// What the kernel says; `ESRCH` where quotas of projects are not in force.
pub fn limit(place: BorrowedFd<'_>, project: u32, bytes: u64, files: u64) -> io::Result<()> {
    const SET_QUOTA: libc::c_uint = 0x80_0008;
    const PROJECTS: libc::c_uint = 2;
    let quota = Quota {
        blocks_hard: bytes / 1024,
        blocks_soft: bytes / 1024,
        inodes_hard: files,
        inodes_soft: files,
        valid: LIMITS_OF_BLOCKS | LIMITS_OF_INODES,
        ..Quota::default()
    };
    // SAFETY: the kernel reads one `struct if_dqblk`, whose layout is that of `quota`,
    // and keeps no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_quotactl_fd,
            place.as_raw_fd(),
            SET_QUOTA << 8 | PROJECTS,
            project,
            &raw const quota,
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
    fn structures_have_the_kernels_sizes() {
        assert_eq!(size_of::<FileAttributes>(), 28);
        assert_eq!(size_of::<Quota>(), 72);
        assert_eq!(GET >> 16 & 0x3fff, 28);
        assert_eq!(SET >> 16 & 0x3fff, 28);
    }

    #[test]
    fn what_has_no_projects_says_so() {
        let folder = File::open("/proc/self").unwrap();
        assert!(assign(folder.as_fd(), 503).is_err());
        assert!(limit(folder.as_fd(), 503, 1 << 20, 1).is_err());
    }
}
