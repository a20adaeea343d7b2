//! Settings of the kernel that its configuration cannot hold (sysctl.d(5) elsewhere): made
//! once, before any service starts. `/proc/sys` is in no service's sight.
//!
//! In a namespace of processes, as in tests, the kernel is somebody else's: nothing of it
//! is changed there.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::kernel_log::say;
use crate::supervisor::Level;

const PLACE: &str = "/proc/sys";

/// The namespace of processes that is there from the start (`PID_NS_INIT_INO` in
/// include/uapi/linux/nsfs.h).
const NAMESPACE: &str = "/proc/self/ns/pid";
const FIRST_NAMESPACE: u64 = 0xefff_fffc;

/// Name, value. Documentation/admin-guide/sysctl and LSM/Yama.rst say what they mean.
const SETTINGS: &[(&str, &str)] = &[
    // Only who holds CAP_SYS_PTRACE takes hold of another process, its own included.
    ("kernel/yama/ptrace_scope", "2"),
    // Addresses of the kernel are shown to nobody.
    ("kernel/kptr_restrict", "2"),
    // What is compiled for BPF cannot carry an attacker's instructions.
    ("net/core/bpf_jit_harden", "2"),
    // In a directory that others can write, what they put there is not opened in place
    // of one's own.
    ("fs/protected_fifos", "2"),
    ("fs/protected_regular", "2"),
];

/// Makes them. One that cannot be made is said, and the machine goes on without.
pub fn make() {
    if !kernel_is_ours() {
        return;
    }
    for (name, value) in SETTINGS {
        match write(Path::new(PLACE), name, value) {
            Ok(()) => {}
            Err(error) => say(
                Level::Error,
                &format!("cannot set {name} to {value}: {error}"),
            ),
        }
    }
}

/// Keeps the kernel's messages of this level and above (printk) off the consoles, where
/// there are any.
///
/// # Errors
/// What the kernel says.
pub fn quieten_console(level: &str) -> io::Result<()> {
    if !kernel_is_ours() {
        return Ok(());
    }
    match write(Path::new(PLACE), "kernel/printk", level) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        written => written,
    }
}

fn kernel_is_ours() -> bool {
    fs::metadata(NAMESPACE).is_ok_and(|namespace| namespace.ino() == FIRST_NAMESPACE)
}

fn write(place: &Path, name: &str, value: &str) -> io::Result<()> {
    // Nothing is made that the kernel does not have.
    File::options()
        .write(true)
        .open(place.join(name))?
        .write_all(value.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_there_is_set() {
        let place = tempfile::tempdir().unwrap();
        fs::write(place.path().join("there"), "0").unwrap();
        write(place.path(), "there", "2").unwrap();
        assert_eq!(fs::read_to_string(place.path().join("there")).unwrap(), "2");
        let error = write(place.path(), "absent", "2").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
        assert!(!place.path().join("absent").exists());
    }
}
