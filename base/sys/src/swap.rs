//! `swapon(2)` and `swapoff(2)`.

use std::{ffi::CStr, io};

/// Starts to swap to a device that has a swap header. No flag is given: the kernel
/// chooses the priority and discards nothing.
///
/// # Errors
/// What the kernel says; `EINVAL` where there is no swap header.
pub fn start(device: &CStr) -> io::Result<()> {
    // SAFETY: the string is NUL-terminated and only read during the call.
    done(unsafe { libc::swapon(device.as_ptr(), 0) })
}

/// Stops to swap to a device.
///
/// # Errors
/// What the kernel says; `ENOMEM` where memory does not hold what is swapped out.
pub fn stop(device: &CStr) -> io::Result<()> {
    // SAFETY: the string is NUL-terminated and only read during the call.
    done(unsafe { libc::swapoff(device.as_ptr()) })
}

fn done(result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_swap_device_is_refused() {
        assert!(start(c"/dev/null").is_err());
        assert!(stop(c"/dev/null").is_err());
    }
}
