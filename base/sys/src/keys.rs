//! `add_key(2)` and `keyctl(2)`.

use std::{ffi::CStr, io, ptr};

/// Serial number of a kernel key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Serial(pub i32);

impl Serial {
    /// The calling thread's own keyring, made when first used
    /// (`KEY_SPEC_THREAD_KEYRING`).
    pub const THREAD_KEYRING: Self = Self(-1);
}

/// Adds a key to a keyring, see `add_key(2)`.
///
/// # Errors
/// What the kernel says; `EPERM` also where the keyring is restricted.
pub fn add_key(
    kind: &CStr,
    description: &CStr,
    payload: &[u8],
    keyring: Serial,
) -> io::Result<Serial> {
    // SAFETY: both strings are NUL-terminated and `payload` is readable for its
    // whole length for the duration of the call, which keeps no pointer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_add_key,
            kind.as_ptr(),
            description.as_ptr(),
            payload.as_ptr(),
            payload.len(),
            keyring.0,
        )
    };
    serial(result)
}

/// Lets no further key be linked to a keyring, for good: `KEYCTL_RESTRICT_KEYRING`
/// without a key type.
///
/// # Errors
/// What the kernel says; `EEXIST` where the keyring is restricted already.
pub fn reject_all_links(keyring: Serial) -> io::Result<()> {
    // SAFETY: the operation takes a serial number and two optional strings, here
    // null, which the kernel documents as "reject every link"; no memory is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_RESTRICT_KEYRING,
            keyring.0,
            ptr::null::<libc::c_char>(),
            ptr::null::<libc::c_char>(),
        )
    };
    done(result)
}

/// Makes a key unusable: `KEYCTL_REVOKE`.
///
/// # Errors
/// What the kernel says.
pub fn revoke(key: Serial) -> io::Result<()> {
    // SAFETY: the operation takes a serial number only; no memory is passed.
    let result = unsafe { libc::syscall(libc::SYS_keyctl, libc::KEYCTL_REVOKE, key.0) };
    done(result)
}

/// Gives the calling process a new, empty session keyring that nobody else has:
/// `KEYCTL_JOIN_SESSION_KEYRING` without a name.
///
/// # Errors
/// What the kernel says.
pub fn join_new_session_keyring() -> io::Result<()> {
    // SAFETY: the operation takes one optional string, here null, which the kernel
    // documents as "anonymous"; no memory is passed.
    let result = unsafe {
        libc::syscall(
            libc::SYS_keyctl,
            libc::KEYCTL_JOIN_SESSION_KEYRING,
            ptr::null::<libc::c_char>(),
        )
    };
    done(result)
}

fn serial(result: libc::c_long) -> io::Result<Serial> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result)
        .map(Serial)
        .map_err(|_| io::Error::from_raw_os_error(libc::EOVERFLOW))
}

fn done(result: libc::c_long) -> io::Result<()> {
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
