//! What a definition lets its service reach, each item with its reason.

use std::collections::BTreeSet;
use std::fmt;
use std::path::{Path, PathBuf};

use super::{LOG_SOCKETS, Service, check::INIT_INTERFACE};
use crate::address_family::AddressFamily;
use crate::capability::Capability;
use crate::name::{ServiceName, Why};
use crate::system_call::SystemCall;

/// A terminal handed to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tty {
    /// The device's name below /dev, for example `ttyS0`.
    pub device: String,
    /// Why the service has it.
    pub why: Why,
}

/// A path that a service sees in its sandbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathGrant {
    /// Absolute, plain. One to be read that does not exist is not there in the
    /// sandbox either; one to be written must exist.
    pub path: PathBuf,
    /// Why the service sees it.
    pub why: Why,
}

/// A directory that a service keeps across boots: `/var/lib/<service>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The most it may hold, in MiB.
    pub size_mib: u32,
    /// What is kept there.
    pub why: Why,
}

/// What may be done with a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceAccess {
    /// Open for reading.
    Read,
    /// Open for writing.
    Write,
    /// Open for both.
    ReadWrite,
}

impl DeviceAccess {
    /// Whether it may be read.
    #[must_use]
    pub fn reads(self) -> bool {
        self != Self::Write
    }

    /// Whether it may be written.
    #[must_use]
    pub fn writes(self) -> bool {
        self != Self::Read
    }
}

/// A device that a service may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// Its node, below /dev.
    pub path: PathBuf,
    /// For what it may be opened.
    pub access: DeviceAccess,
    /// Why the service has it.
    pub why: Why,
}

/// What kind of socket (or other source of messages) PID 1 makes for a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SocketKind {
    /// A listening UNIX stream socket.
    Stream(SocketPlace),
    /// A bound UNIX datagram socket; the kernel adds each sender's credentials.
    Datagram(SocketPlace),
    /// A listening UNIX socket of sequential packets.
    Sequential(SocketPlace),
    /// /dev/kmsg, open for reading: the kernel's log.
    KernelLog,
    /// The audit netlink socket that the kernel sends its records to.
    Audit,
}

impl SocketKind {
    /// Where others find it, if it has a place.
    #[must_use]
    pub fn place(&self) -> Option<&SocketPlace> {
        match self {
            Self::Stream(place) | Self::Datagram(place) | Self::Sequential(place) => Some(place),
            Self::KernelLog | Self::Audit => None,
        }
    }
}

/// Where a UNIX socket lies and who may connect, as far as modes say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketPlace {
    /// Absolute, below /run, or /dev/log.
    pub path: PathBuf,
    /// The socket file's mode; it belongs to the service's user and group.
    pub mode: u16,
}

/// A socket that PID 1 makes, keeps across restarts, and passes as in sd_listen_fds(3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Its name in `LISTEN_FDNAMES`.
    pub name: String,
    /// What it is.
    pub kind: SocketKind,
    /// Why the service has it.
    pub why: Why,
}

/// A Varlink interface that a service serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Serves {
    /// The interface.
    pub interface: String,
    /// The name of the stream socket that it is served on.
    pub socket: String,
    /// The services that may call it.
    pub callers: Vec<ServiceName>,
    /// Why these.
    pub why: Why,
}

/// Methods of one Varlink interface that a service may call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// The interface, for example `org.bastide.Init`.
    pub interface: String,
    /// The methods, without the interface's name.
    pub methods: Vec<String>,
    /// Why it calls them.
    pub why: Why,
}

/// A capability that a service keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityGrant {
    /// Which.
    pub capability: Capability,
    /// What for.
    pub why: Why,
}

/// System calls that a service may make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemCalls {
    /// As written: groups (`@base`) and single calls.
    pub allow: Vec<String>,
    /// What that comes to.
    pub calls: BTreeSet<SystemCall>,
    /// What for.
    pub why: Why,
}

/// An address family of which a service may make sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FamilyGrant {
    /// Which.
    pub family: AddressFamily,
    /// What for.
    pub why: Why,
}

/// A namespace that a service may share with PID 1; otherwise it has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Namespace {
    /// Network interfaces, addresses, abstract UNIX sockets.
    Network,
    /// Processes.
    Pid,
    /// System V and POSIX message queues, shared memory.
    Ipc,
    /// The host's name.
    Uts,
}

impl Namespace {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Network, Self::Pid, Self::Ipc, Self::Uts];

    /// The word in a definition.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Network => "network",
            Self::Pid => "pid",
            Self::Ipc => "ipc",
            Self::Uts => "uts",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// A namespace shared with PID 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Share {
    /// Which.
    pub namespace: Namespace,
    /// Why it is not the service's own.
    pub why: Why,
}

impl Service {
    /// Whether the service may call `method` of `interface`.
    #[must_use]
    pub fn may_call(&self, interface: &str, method: &str) -> bool {
        self.calls.iter().any(|calls| {
            calls.interface == interface && calls.methods.iter().any(|known| known == method)
        })
    }

    /// Whether it calls PID 1.
    #[must_use]
    pub fn calls_init(&self) -> bool {
        self.calls
            .iter()
            .any(|calls| calls.interface == INIT_INTERFACE)
    }

    /// Whether it shares a namespace with PID 1.
    #[must_use]
    pub fn shares(&self, namespace: Namespace) -> bool {
        self.shares.iter().any(|share| share.namespace == namespace)
    }

    /// Every system call that it may make.
    #[must_use]
    pub fn allowed_calls(&self) -> BTreeSet<SystemCall> {
        let grants = self.system_calls.iter();
        grants
            .flat_map(|grant| grant.calls.iter().copied())
            .collect()
    }

    /// The socket of that name, among those that PID 1 makes for it.
    #[must_use]
    pub fn socket(&self, name: &str) -> Option<&Socket> {
        self.sockets.iter().find(|socket| socket.name == name)
    }

    /// The directory that it keeps across boots.
    #[must_use]
    pub fn state_directory(&self) -> Option<PathBuf> {
        let name = self.name.as_str();
        self.state
            .as_ref()
            .map(|_| PathBuf::from("/var/lib").join(name))
    }

    /// Whether it sees [`super::LOG_SOCKETS`]: it can use them, and none of them is its own.
    #[must_use]
    pub fn reaches_log(&self) -> bool {
        let mut families = self.address_families.iter();
        let unix = families.any(|grant| grant.family.to_string() == "unix");
        let calls = self.allowed_calls();
        let mut sockets = self.sockets.iter().filter_map(|socket| socket.kind.place());
        let is_log = sockets.any(|place| {
            let mut known = LOG_SOCKETS.iter();
            known.any(|known| place.path.as_path() == Path::new(known))
        });
        unix && calls.iter().any(|call| call.name() == "socket") && !is_log
    }

    /// The directory that it has in memory.
    #[must_use]
    pub fn runtime_directory(&self) -> Option<PathBuf> {
        let name = self.name.as_str();
        self.runtime
            .as_ref()
            .map(|_| PathBuf::from("/run").join(name))
    }
}
