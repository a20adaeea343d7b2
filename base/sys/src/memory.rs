//! What a process's memory may become.

use std::io;

/// From now on, and in every program executed from here, memory never gains the
/// right to be executed after it could be written, and none can be both:
/// `PR_SET_MDWE` with `PR_MDWE_REFUSE_EXEC_GAIN` (linux/prctl.h). It cannot be undone.
///
/// # Errors
/// What the kernel says; `EINVAL` where it is older than Linux 6.3.
pub fn refuse_executable_gain() -> io::Result<()> {
    const PR_SET_MDWE: libc::c_int = 65;
    const REFUSE_EXEC_GAIN: libc::c_ulong = 1;
    const NONE: libc::c_ulong = 0;
    // SAFETY: this operation takes one number and three zeros; no memory is passed,
    // and mappings that exist keep their rights.
    let result = unsafe { libc::prctl(PR_SET_MDWE, REFUSE_EXEC_GAIN, NONE, NONE, NONE) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}
