//! System calls by name, and the groups that a definition may allow as a whole.
//!
//! Groups are made for what our programs do, not for what the kernel sorts
//! together: a program that asks for one gets nothing that it could not explain.

mod groups;
mod table;

use std::collections::BTreeSet;
use std::fmt;

pub use groups::{BASE, GROUPS, Group};

/// One system call of x86-64, the only architecture there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemCall(u16);

impl SystemCall {
    /// Looks a system call up by its kernel name.
    ///
    /// # Errors
    /// When the kernel has no such system call.
    pub fn named(name: &str) -> Result<Self, String> {
        table::TABLE
            .iter()
            .find(|(_, known)| *known == name)
            .map(|(number, _)| Self(*number))
            .ok_or_else(|| {
                format!(
                    "`{}` is no system call of this architecture; they are written as in syscalls(2), for example openat",
                    name.escape_debug()
                )
            })
    }

    /// The system call's number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// The system call's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        table::TABLE
            .iter()
            .find(|(number, _)| *number == self.0)
            .map_or("?", |(_, name)| name)
    }
}

impl fmt::Display for SystemCall {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The system calls that an item of an allow-list stands for: a group, written
/// `@name`, or a single one.
///
/// # Errors
/// When there is no such group or system call.
pub fn expand(item: &str) -> Result<BTreeSet<SystemCall>, String> {
    if !item.starts_with('@') {
        return SystemCall::named(item).map(|call| BTreeSet::from([call]));
    }
    let Some(group) = GROUPS.iter().find(|group| group.name == item) else {
        let known: Vec<&str> = GROUPS.iter().map(|group| group.name).collect();
        return Err(format!(
            "`{}` is no group of system calls (there are: {})",
            item.escape_debug(),
            known.join(", ")
        ));
    };
    group
        .calls
        .iter()
        .map(|name| SystemCall::named(name))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_the_kernels() {
        for (name, number) in [
            ("read", 0),
            ("ptrace", 101),
            ("openat", 257),
            ("seccomp", 317),
            ("clone3", 435),
            ("landlock_restrict_self", 446),
            ("mseal", 462),
        ] {
            let call = SystemCall::named(name).expect(name);
            assert_eq!(call.number(), number);
            assert_eq!(call.to_string(), name);
        }
        assert!(SystemCall::named("Read").is_err());
        assert!(SystemCall::named("@base").is_err());
    }

    #[test]
    fn each_number_and_name_is_there_once() {
        assert!(table::TABLE.windows(2).all(|pair| pair[0].0 < pair[1].0));
        let names: BTreeSet<&str> = table::TABLE.iter().map(|(_, name)| *name).collect();
        assert_eq!(names.len(), table::TABLE.len());
    }

    #[test]
    fn every_group_is_made_of_system_calls_and_says_what_for() {
        for group in GROUPS {
            let calls = expand(group.name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(calls.len(), group.calls.len(), "{}", group.name);
            assert!(group.purpose.len() > 10, "{}", group.name);
        }
        assert!(expand("@everything").expect_err("none").contains("@base"));
    }

    /// What lets a process reach out of its sandbox, look into others, load code
    /// into the kernel or become somebody else is in no group: a definition names
    /// it, with its reason, or does not have it.
    #[test]
    fn no_group_holds_what_breaks_out() {
        for name in [
            "ptrace",
            "process_vm_readv",
            "process_vm_writev",
            "kcmp",
            "pidfd_getfd",
            "mount",
            "umount2",
            "move_mount",
            "open_tree",
            "fsopen",
            "pivot_root",
            "chroot",
            "unshare",
            "setns",
            "bpf",
            "perf_event_open",
            "init_module",
            "finit_module",
            "kexec_load",
            "reboot",
            "swapon",
            "keyctl",
            "add_key",
            "request_key",
            "userfaultfd",
            "io_uring_setup",
            "personality",
            "modify_ldt",
            "iopl",
            "ioperm",
            "mknod",
            "mknodat",
            "memfd_create",
            "memfd_secret",
            "open_by_handle_at",
            "setuid",
            "setresuid",
            "setgroups",
            "capset",
            "seccomp",
            "clock_settime",
            "settimeofday",
            "sethostname",
            "quotactl",
            "quotactl_fd",
            "file_setattr",
            "acct",
            "syslog",
            "vmsplice",
            "shmat",
            "socket",
            "ioctl",
        ] {
            let call = SystemCall::named(name).expect(name);
            for group in GROUPS {
                let granted = expand(group.name).expect("a group").contains(&call);
                let meant = matches!(
                    (name, group.name),
                    ("socket", "@connect") | ("ioctl", "@terminal")
                );
                assert_eq!(granted, meant, "{name} in {}", group.name);
            }
        }
    }
}
