//! The ioctls of ext4 (`fs/ext4/ext4.h`).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// `_IOW('f', 16, __u64)`
const RESIZE: u32 = 1 << 30 | 8 << 16 | (b'f' as u32) << 8 | 16;

/// Grows a mounted file system to so many blocks: `EXT4_IOC_RESIZE_FS`. The descriptor
/// is of any file or directory on it.
///
/// # Errors
/// `ENOTTY` where the file system is none that can be grown; else what the kernel says.
pub fn resize(file_system: BorrowedFd<'_>, blocks: u64) -> io::Result<()> {
    // SAFETY: the kernel reads eight bytes from the pointer, which is to a `u64` that
    // outlives the call. Another file system or device would refuse the request number
    // or, at worst, read those same bytes: the number says "write, eight bytes".
    let result = unsafe {
        libc::ioctl(
            file_system.as_raw_fd(),
            RESIZE as libc::Ioctl,
            &raw const blocks,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd};

    use super::*;

    #[test]
    fn the_request_number_is_that_of_the_header() {
        assert_eq!(RESIZE, 0x4008_6610);
    }

    #[test]
    fn other_file_systems_refuse() {
        let file = File::open("/dev/null").unwrap();
        let error = resize(file.as_fd(), 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
