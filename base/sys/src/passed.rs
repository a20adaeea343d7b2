//! Descriptors that whoever started this process passes to it (sd_listen_fds(3)).

use std::io;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// The first descriptor that is passed.
const FIRST: RawFd = 3;

/// Most descriptors that are taken.
const MOST: usize = 64;

static TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes the descriptors 3 to 2 + `count`, and marks them so that no program we start
/// gets them. Works once, and must be called before anything else is opened: later,
/// the numbers are other people's.
///
/// # Errors
/// When it was called before, when there are more than 64, or when one of them is not
/// open.
pub fn take(count: usize) -> io::Result<Vec<OwnedFd>> {
    if count > MOST || TAKEN.swap(true, Ordering::SeqCst) {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    let numbers = (FIRST..).take(count);
    for number in numbers.clone() {
        // SAFETY: F_SETFD takes no pointer; a number that is not open is an error.
        if unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) } < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(numbers
        // SAFETY: each is open, as fcntl just said, and owned by nobody: `TAKEN` lets
        // this run once, and callers promise to run it before opening anything.
        .map(|number| unsafe { OwnedFd::from_raw_fd(number) })
        .collect())
}
