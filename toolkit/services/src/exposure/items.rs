//! systemd's items, answered for a service under our PID 1.

use std::collections::BTreeSet;

use bastide_config::capability::Capability;
use bastide_config::service::{Namespace, Service, SocketKind};

use super::bounding_set::BOUNDING_SET;
use super::system_calls::GROUPS;
use super::{Item, Topic};

/// Namespaces that a process may make, with systemd's weights.
const NAMESPACES: [(&str, u64, &str); 7] = [
    ("RestrictNamespaces=~CLONE_NEWUSER", 1500, "user"),
    ("RestrictNamespaces=~CLONE_NEWNS", 500, "mount"),
    ("RestrictNamespaces=~CLONE_NEWIPC", 500, "ipc"),
    ("RestrictNamespaces=~CLONE_NEWPID", 500, "pid"),
    ("RestrictNamespaces=~CLONE_NEWCGROUP", 500, "cgroup"),
    ("RestrictNamespaces=~CLONE_NEWNET", 500, "network"),
    ("RestrictNamespaces=~CLONE_NEWUTS", 100, "uts"),
];

/// Every item for a service.
pub(super) fn all(service: &Service) -> Vec<Item> {
    let mut sheet = Sheet::new(service);
    sheet.user();
    sheet.privileges();
    sheet.capabilities();
    sheet.namespaces();
    sheet.files();
    sheet.devices();
    sheet.kernel();
    sheet.network();
    sheet.system_calls();
    sheet.items
}

/// The items so far.
struct Sheet<'service> {
    service: &'service Service,
    calls: BTreeSet<&'static str>,
    items: Vec<Item>,
}

impl<'service> Sheet<'service> {
    fn new(service: &'service Service) -> Self {
        let calls = service.allowed_calls();
        Self {
            service,
            calls: calls.into_iter().map(|call| call.name()).collect(),
            items: Vec::new(),
        }
    }

    /// An item that is so or not.
    fn either(
        &mut self,
        topic: Topic,
        (name, weight): (&'static str, u64),
        bad: bool,
        (good_words, bad_words): (&str, &str),
    ) {
        self.graded(
            topic,
            (name, weight, 1),
            Some(u64::from(bad)),
            if bad { bad_words } else { good_words },
        );
    }

    /// An item that PID 1 sees to for every service.
    fn always(&mut self, topic: Topic, item: (&'static str, u64), words: &str) {
        self.either(topic, item, false, (words, ""));
    }

    /// An item with shades, or one that may not apply.
    fn graded(
        &mut self,
        topic: Topic,
        (name, weight, range): (&'static str, u64, u64),
        badness: Option<u64>,
        finding: &str,
    ) {
        self.items.push(Item {
            topic,
            name,
            weight,
            range,
            badness,
            finding: finding.to_owned(),
        });
    }

    fn may_call(&self, names: &[&str]) -> Option<&'static str> {
        self.calls.iter().copied().find(|call| names.contains(call))
    }

    fn has(&self, capabilities: &[&str]) -> bool {
        let wanted = |known: &Capability| capabilities.contains(&known.to_string().as_str());
        let mut kept = self.service.capabilities.iter();
        kept.any(|grant| wanted(&grant.capability))
    }

    fn has_device(&self, start: &str) -> bool {
        let named = |path: &std::path::Path| path.display().to_string().starts_with(start);
        self.service
            .devices
            .iter()
            .any(|device| named(&device.path))
    }

    fn user(&mut self) {
        let root = self.service.user.is_root();
        self.graded(
            Topic::User,
            ("User=/DynamicUser=", 2000, 10),
            Some(if root { 10 } else { 0 }),
            if root { "is root" } else { "a user of its own" },
        );
        self.graded(
            Topic::User,
            ("SupplementaryGroups=", 200, 1),
            (!root).then_some(0),
            "no further groups",
        );
    }

    fn privileges(&mut self) {
        let topic = Topic::Privileges;
        self.always(
            topic,
            ("NoNewPrivileges=", 1000),
            "none can be gained by executing a file",
        );
        self.always(
            topic,
            ("KeyringMode=", 1000),
            "a session keyring of its own",
        );
        self.always(
            topic,
            ("NotifyAccess=", 1000),
            "only its main process reports its state",
        );
        self.graded(
            topic,
            ("UMask=", 100, 10),
            Some(0),
            "its files are its own: 0077",
        );
        self.always(
            topic,
            ("Delegate=", 100),
            "no control group of its own to divide",
        );
        // PID 1 mounts everything nosuid, which systemd does not count as an answer.
        let keeps = self.service.state.is_some() || !self.service.writable.is_empty();
        self.either(
            topic,
            ("RestrictSUIDSGID=", 1000),
            keeps
                && self
                    .may_call(&["chmod", "fchmod", "fchmodat", "fchmodat2"])
                    .is_some(),
            (
                "leaves no set-uid file behind",
                "may leave set-uid files behind, void on nosuid mounts",
            ),
        );
        let realtime = ["sched_setattr", "sched_setscheduler", "sched_setparam"];
        self.either(
            topic,
            ("RestrictRealtime=", 500),
            self.may_call(&realtime).is_some(),
            (
                "no real-time scheduling",
                "may ask for real-time scheduling",
            ),
        );
        self.either(
            topic,
            ("LockPersonality=", 100),
            self.may_call(&["personality"]).is_some(),
            ("one ABI", "may change its ABI personality"),
        );
        self.always(
            Topic::Memory,
            ("MemoryDenyWriteExecute=", 100),
            "nothing is both writable and executable (PR_SET_MDWE)",
        );
    }

    fn capabilities(&mut self) {
        let topic = Topic::Capabilities;
        for (name, weight, capabilities, power) in BOUNDING_SET {
            self.either(
                topic,
                (name, weight),
                self.has(capabilities),
                (&format!("cannot {power}"), &format!("may {power}")),
            );
        }
        self.either(
            topic,
            ("AmbientCapabilities=", 500),
            !self.service.capabilities.is_empty(),
            ("none kept", "what is granted is ambient"),
        );
    }

    fn namespaces(&mut self) {
        let topic = Topic::Namespaces;
        self.always(topic, ("PrivateMounts=", 1000), "mounts of its own");
        self.either(
            topic,
            ("PrivateUsers=", 1000),
            true,
            ("", "users are the machine's: no user namespace"),
        );
        self.graded(
            topic,
            ("RemoveIPC=", 100, 1),
            (!self.service.user.is_root())
                .then_some(u64::from(self.service.shares(Namespace::Ipc))),
            if self.service.shares(Namespace::Ipc) {
                "System V IPC of the machine"
            } else {
                "System V IPC goes with its namespace"
            },
        );
        // The filter refuses the namespace flags of clone and the whole of clone3.
        let maker = self.may_call(&["unshare", "setns"]);
        for (name, weight, kind) in NAMESPACES {
            self.either(
                topic,
                (name, weight),
                maker.is_some(),
                (
                    &format!("cannot make {kind} namespaces"),
                    &format!("may make {kind} namespaces"),
                ),
            );
        }
        self.either(
            topic,
            ("ProtectHostname=", 50),
            self.service.shares(Namespace::Uts)
                && self.may_call(&["sethostname", "setdomainname"]).is_some(),
            (
                "cannot change the host's name",
                "may change the host's name",
            ),
        );
    }

    fn files(&mut self) {
        let topic = Topic::FileSystem;
        self.graded(
            topic,
            ("ProtectSystem=", 1000, 10),
            Some(0),
            "the Core is read-only and verified",
        );
        self.graded(
            topic,
            ("ProtectHome=", 1000, 10),
            Some(0),
            "there are no homes",
        );
        self.always(topic, ("PrivateTmp=", 1000), "a /tmp of its own");
        self.always(
            topic,
            ("RootDirectory=/RootImage=", 200),
            "a root of its own that holds only what is named",
        );
        self.always(
            topic,
            ("ProtectControlGroups=", 1000),
            "control groups cannot be written",
        );
    }

    fn devices(&mut self) {
        let any = !self.service.devices.is_empty() || self.service.tty.is_some();
        self.either(
            Topic::Devices,
            ("PrivateDevices=", 1000),
            any,
            ("no device of hardware", "has a device of hardware"),
        );
        self.graded(
            Topic::Devices,
            ("DeviceAllow=", 1000, 10),
            Some(if any { 5 } else { 0 }),
            if any {
                "the harmless devices and named ones"
            } else {
                "the harmless devices"
            },
        );
    }

    fn kernel(&mut self) {
        let topic = Topic::Kernel;
        self.graded(
            topic,
            ("ProtectProc=", 1000, 3),
            Some(0),
            "/proc shows its own processes (hidepid)",
        );
        self.always(topic, ("ProcSubset=", 10), "/proc shows processes only");
        self.always(
            topic,
            ("ProtectKernelTunables=", 1000),
            "no /proc/sys, /sys read-only where named",
        );
        self.either(
            topic,
            ("ProtectKernelModules=", 1000),
            self.has(&["CAP_SYS_MODULE"]),
            ("cannot load modules", "may load modules"),
        );
        let mut sockets = self.service.sockets.iter();
        let log = sockets.any(|socket| socket.kind == SocketKind::KernelLog)
            || self.has(&["CAP_SYSLOG"])
            || self.has_device("/dev/kmsg");
        self.either(
            topic,
            ("ProtectKernelLogs=", 1000),
            log,
            ("no kernel log", "reads the kernel's log"),
        );
        let clock = self.has(&["CAP_SYS_TIME", "CAP_WAKE_ALARM"]) || self.has_device("/dev/rtc");
        self.either(
            topic,
            ("ProtectClock=", 1000),
            clock,
            ("cannot set a clock", "may set a clock"),
        );
    }

    fn network(&mut self) {
        let shared = self.service.shares(Namespace::Network);
        self.either(
            Topic::Network,
            ("PrivateNetwork=", 2500),
            shared,
            (
                "an empty network of its own",
                "the network of PID 1's namespace",
            ),
        );
        self.graded(
            Topic::Network,
            ("IPAddressDeny=", 1000, 10),
            Some(if shared { 10 } else { 0 }),
            if shared {
                "no filter of addresses"
            } else {
                "no address to reach"
            },
        );
        let granted: Vec<String> = self
            .service
            .address_families
            .iter()
            .map(|grant| grant.family.to_string())
            .collect();
        let known = ["inet", "inet6", "unix", "netlink", "packet"];
        let exotic = granted
            .iter()
            .any(|family| !known.contains(&family.as_str()));
        for (name, weight, families, words) in [
            (
                "RestrictAddressFamilies=~AF_(INET|INET6)",
                1500,
                &["inet", "inet6"][..],
                "Internet sockets",
            ),
            (
                "RestrictAddressFamilies=~AF_UNIX",
                25,
                &["unix"],
                "local sockets",
            ),
            (
                "RestrictAddressFamilies=~AF_NETLINK",
                200,
                &["netlink"],
                "netlink sockets",
            ),
            (
                "RestrictAddressFamilies=~AF_PACKET",
                1000,
                &["packet"],
                "packet sockets",
            ),
            ("RestrictAddressFamilies=~…", 1250, &[], "exotic sockets"),
        ] {
            let bad = match families {
                [] => exotic,
                families => granted
                    .iter()
                    .any(|family| families.contains(&family.as_str())),
            };
            self.either(
                Topic::AddressFamilies,
                (name, weight),
                bad,
                (
                    &format!("cannot make {words}"),
                    &format!("may make {words}"),
                ),
            );
        }
    }

    fn system_calls(&mut self) {
        let topic = Topic::SystemCalls;
        self.graded(
            topic,
            ("SystemCallArchitectures=", 1000, 10),
            Some(0),
            "those of x86-64 only",
        );
        for group in GROUPS {
            let offender = group.calls.iter().find_map(|calls| self.may_call(calls));
            let (_, words) = group.name.split_once('~').unwrap_or_default();
            match offender {
                Some(call) => self.graded(
                    topic,
                    (group.name, group.weight, 10),
                    Some(9),
                    &format!("some of {words}, for example {call}"),
                ),
                None => self.graded(
                    topic,
                    (group.name, group.weight, 10),
                    Some(0),
                    &format!("none of {words}"),
                ),
            }
        }
    }
}
