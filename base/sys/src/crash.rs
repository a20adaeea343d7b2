//! The last resort of a process that must not just die.

use std::ffi::{CStr, c_char};
use std::io;
use std::ptr;
use std::sync::OnceLock;

/// The signals by which the kernel, or an abort, ends a program that is broken.
const FATAL: [(libc::c_int, &CStr); 6] = [
    (libc::SIGSEGV, c"signal 11 (memory access)"),
    (libc::SIGBUS, c"signal 7 (memory is gone)"),
    (libc::SIGILL, c"signal 4 (illegal instruction)"),
    (libc::SIGFPE, c"signal 8 (arithmetic)"),
    (libc::SIGABRT, c"signal 6 (abort)"),
    (libc::SIGSYS, c"signal 31 (system call)"),
];

/// What is executed: program and first argument.
static LAST_RESORT: OnceLock<(&CStr, &CStr)> = OnceLock::new();

/// When the process crashes, lets `program` take its place, with `argument` and a
/// word about the crash as its arguments and an empty environment. A fresh image of
/// the same process can record and tell, which a handler in broken memory cannot.
/// If even that fails, file systems are synced and the machine reboots, if the
/// process may do that; otherwise it is ended.
///
/// # Errors
/// What the kernel says; `EEXIST` when this was called before.
pub fn execute_on_crash(program: &'static CStr, argument: &'static CStr) -> io::Result<()> {
    LAST_RESORT
        .set((program, argument))
        .map_err(|_| io::Error::from_raw_os_error(libc::EEXIST))?;
    for (signal, _) in FATAL {
        // SAFETY: all-zero bytes are a valid `struct sigaction`: no flags, an empty
        // mask, no handler yet.
        let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
        action.sa_sigaction = handle as extern "C" fn(libc::c_int) as libc::sighandler_t;
        // Rust's runtime gives the main thread another stack for signals, so that an
        // overflowing stack can be handled as well.
        action.sa_flags = libc::SA_ONSTACK | libc::SA_NODEFER | libc::SA_RESETHAND;
        // SAFETY: `action` is a valid structure whose handler is a function of the
        // signature that the flags (no SA_SIGINFO) call for, and does only what is
        // safe in a signal handler; the old action is not asked for.
        let result = unsafe { libc::sigaction(signal, &raw const action, ptr::null_mut()) };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

extern "C" fn handle(signal: libc::c_int) {
    let what = FATAL
        .iter()
        .find(|(number, _)| *number == signal)
        .map_or(c"a signal", |(_, what)| *what);
    if let Some((program, argument)) = LAST_RESORT.get() {
        let arguments: [*const c_char; 4] = [
            program.as_ptr(),
            argument.as_ptr(),
            what.as_ptr(),
            ptr::null(),
        ];
        let environment: [*const c_char; 1] = [ptr::null()];
        // SAFETY: execve(2) may be called in a signal handler; its strings are static
        // and NUL-terminated, its lists end with null. It returns only when it failed.
        unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    }
    // SAFETY: both are plain system calls without memory, which may be made in a signal
    // handler; reboot(2) fails without the capability for it. Returning then repeats
    // the fault with the default action, which SA_RESETHAND has put back.
    unsafe {
        libc::sync();
        libc::reboot(libc::RB_AUTOBOOT);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_name_their_signals() {
        for (number, what) in FATAL {
            let text = what.to_str().unwrap();
            assert!(text.starts_with(&format!("signal {number} ")), "{text}");
        }
    }
}
