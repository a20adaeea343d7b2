//! The groups of system calls that systemd-analyze asks about (systemd,
//! src/shared/seccomp-util.c): what x86-64 has of them.

/// A group with its weight.
#[derive(Debug, Clone, Copy)]
pub(super) struct Group {
    /// The item's name.
    pub name: &'static str,
    /// systemd's weight.
    pub weight: u64,
    /// Its calls.
    pub calls: &'static [&'static [&'static str]],
}

const CHOWN: &[&str] = &["chown", "fchown", "fchownat", "lchown"];
const CLOCK: &[&str] = &["adjtimex", "clock_adjtime", "clock_settime", "settimeofday"];
const MODULE: &[&str] = &["delete_module", "finit_module", "init_module"];
const RAW_IO: &[&str] = &["ioperm", "iopl"];
const REBOOT: &[&str] = &["kexec_file_load", "kexec_load", "reboot"];
const SWAP: &[&str] = &["swapoff", "swapon"];

/// All of them.
pub(super) const GROUPS: [Group; 11] = [
    Group {
        name: "SystemCallFilter=~@swap",
        weight: 1000,
        calls: &[SWAP],
    },
    Group {
        name: "SystemCallFilter=~@obsolete",
        weight: 250,
        calls: &[&[
            "_sysctl",
            "afs_syscall",
            "create_module",
            "get_kernel_syms",
            "getpmsg",
            "putpmsg",
            "query_module",
            "security",
            "sysfs",
            "tuxcall",
            "uselib",
            "ustat",
            "vserver",
        ]],
    },
    Group {
        name: "SystemCallFilter=~@clock",
        weight: 1000,
        calls: &[CLOCK],
    },
    Group {
        name: "SystemCallFilter=~@cpu-emulation",
        weight: 250,
        calls: &[&["modify_ldt"]],
    },
    Group {
        name: "SystemCallFilter=~@debug",
        weight: 1000,
        calls: &[&["lookup_dcookie", "perf_event_open", "pidfd_getfd", "ptrace"]],
    },
    Group {
        name: "SystemCallFilter=~@mount",
        weight: 1000,
        calls: &[&[
            "chroot",
            "fsconfig",
            "fsmount",
            "fsopen",
            "fspick",
            "mount",
            "mount_setattr",
            "move_mount",
            "open_tree",
            "pivot_root",
            "umount2",
        ]],
    },
    Group {
        name: "SystemCallFilter=~@module",
        weight: 1000,
        calls: &[MODULE],
    },
    Group {
        name: "SystemCallFilter=~@raw-io",
        weight: 1000,
        calls: &[RAW_IO],
    },
    Group {
        name: "SystemCallFilter=~@reboot",
        weight: 1000,
        calls: &[REBOOT],
    },
    Group {
        name: "SystemCallFilter=~@privileged",
        weight: 700,
        calls: &[
            CHOWN,
            CLOCK,
            MODULE,
            RAW_IO,
            REBOOT,
            SWAP,
            &[
                "_sysctl",
                "acct",
                "bpf",
                "capset",
                "chroot",
                "fanotify_init",
                "fanotify_mark",
                "nfsservctl",
                "open_by_handle_at",
                "pivot_root",
                "quotactl",
                "quotactl_fd",
                "setdomainname",
                "setfsgid",
                "setfsuid",
                "setgroups",
                "sethostname",
                "setresgid",
                "setresuid",
                "setreuid",
                "setregid",
                "setgid",
                "setuid",
                "vhangup",
            ],
        ],
    },
    Group {
        name: "SystemCallFilter=~@resources",
        weight: 700,
        calls: &[&[
            "ioprio_set",
            "mbind",
            "migrate_pages",
            "move_pages",
            "sched_setaffinity",
            "sched_setattr",
            "sched_setparam",
            "sched_setscheduler",
            "set_mempolicy",
            "set_mempolicy_home_node",
            "setpriority",
            "setrlimit",
        ]],
    },
];
