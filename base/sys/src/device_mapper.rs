//! The ioctls of `/dev/mapper/control` (`linux/dm-ioctl.h`).

use std::{
    io,
    os::fd::{AsRawFd, BorrowedFd},
};

/// Size of `struct dm_ioctl`, in bytes; every buffer begins with one.
pub const HEADER_SIZE: usize = 312;

/// Where `struct dm_ioctl` tells the size of the whole buffer.
pub const DATA_SIZE_OFFSET: usize = 12;

/// What to ask the device mapper for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Command {
    /// `DM_DEV_CREATE`
    Create,
    /// `DM_DEV_REMOVE`
    Remove,
    /// `DM_DEV_SUSPEND`, which also resumes.
    Suspend,
    /// `DM_TABLE_LOAD`
    LoadTable,
    /// `DM_TABLE_STATUS`
    TableStatus,
}

impl Command {
    const fn number(self) -> u8 {
        match self {
            Self::Create => 3,
            Self::Remove => 4,
            Self::Suspend => 6,
            Self::LoadTable => 9,
            Self::TableStatus => 12,
        }
    }

    /// `_IOWR(0xfd, number, struct dm_ioctl)`
    const fn request(self) -> libc::Ioctl {
        const READ_WRITE: u32 = 3;
        let size = HEADER_SIZE as u32;
        (READ_WRITE << 30 | size << 16 | 0xfd << 8 | self.number() as u32) as libc::Ioctl
    }
}

/// Sends a request and leaves the kernel's answer in the same buffer.
///
/// # Errors
/// `EINVAL` where the buffer does not tell its own size; else what the kernel says.
pub fn request(control: BorrowedFd<'_>, command: Command, buffer: &mut [u8]) -> io::Result<()> {
    let told = buffer
        .get(DATA_SIZE_OFFSET..DATA_SIZE_OFFSET + 4)
        .and_then(|bytes| bytes.try_into().ok())
        .map(u32::from_le_bytes);
    if buffer.len() < HEADER_SIZE || told != u32::try_from(buffer.len()).ok() {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    // SAFETY: the kernel reads and writes at most as many bytes as the header's size
    // field tells, which was just checked to be the length of `buffer`, and at least
    // one header, which fits; `buffer` is exclusively borrowed, so the field cannot
    // change in between. Were `control` another device, the request number, which
    // encodes that device class and size, would be refused.
    let result =
        unsafe { libc::ioctl(control.as_raw_fd(), command.request(), buffer.as_mut_ptr()) };
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
    fn request_numbers_are_those_of_the_header() {
        assert_eq!(Command::Create.request() as u32, 0xc138_fd03);
        assert_eq!(Command::TableStatus.request() as u32, 0xc138_fd0c);
    }

    #[test]
    fn buffers_that_lie_about_their_size_are_refused() {
        let null = File::open("/dev/null").unwrap();
        for (length, told) in [(0, 0), (311, 311), (312, 313), (400, 312)] {
            let mut buffer = vec![0; length];
            if length >= 16 {
                buffer[12..16].copy_from_slice(&u32::to_le_bytes(told));
            }
            let error = request(null.as_fd(), Command::TableStatus, &mut buffer).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
        }
    }

    #[test]
    fn other_devices_refuse_the_request() {
        let null = File::open("/dev/null").unwrap();
        let mut buffer = vec![0; HEADER_SIZE];
        buffer[12..16].copy_from_slice(&312_u32.to_le_bytes());
        let error = request(null.as_fd(), Command::TableStatus, &mut buffer).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENOTTY));
    }
}
