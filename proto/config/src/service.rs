//! `service.toml`: what a service of the Core is and what it may do.
//!
//! A service has nothing that its definition does not name: no path but /usr, no
//! device but the harmless ones, no network, no system call. The definition holds
//! only what PID 1 enforces, because a grant that nobody enforces reads like a
//! promise. How definitions fit each other is in [`agreement`].

pub mod agreement;
mod check;
mod grants;
mod raw;
mod validate;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::name::{ServiceName, Why};
use crate::problem::{Examination, Problems};
use crate::users::User;

pub use check::USUAL_DEVICES;
pub use grants::{
    Calls, CapabilityGrant, Device, DeviceAccess, FamilyGrant, Namespace, PathGrant, Serves, Share,
    Socket, SocketKind, SocketPlace, State, SystemCalls, Tty,
};

/// The version of the format that this parser reads.
pub const VERSION: i64 = 1;

/// The folder that programs of the Core live in; nothing else is started.
pub const PROGRAMS: &str = "/usr/lib/bastide/";

/// A validated service definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// Its name: the folder of the definition.
    pub name: ServiceName,
    /// One line for people.
    pub description: String,
    /// The program, an absolute path below [`PROGRAMS`].
    pub program: PathBuf,
    /// Its arguments, the program's own name left out.
    pub arguments: Vec<String>,
    /// Its whole environment but for what PID 1 adds (`NOTIFY_SOCKET`,
    /// `WATCHDOG_USEC`, `LISTEN_FDS` and the like).
    pub environment: BTreeMap<String, String>,
    /// The user it runs as.
    pub user: User,
    /// Why it is root, when it is.
    pub user_why: Option<Why>,
    /// The terminal it owns, if any.
    pub tty: Option<Tty>,
    /// Services that must be ready before this one starts, and without which it does not run.
    pub needs: Vec<ServiceName>,
    /// How it tells that it is ready.
    pub readiness: Readiness,
    /// How long it may take from start to ready.
    pub start_timeout: Duration,
    /// How long it may take from SIGTERM to its end, before SIGKILL.
    pub stop_timeout: Duration,
    /// The longest silence between two `WATCHDOG=1` messages once ready.
    pub watchdog: Option<Duration>,
    /// What happens when it ends by itself.
    pub restart: Restart,
    /// What it sees besides /usr, to read.
    pub readable: Vec<PathGrant>,
    /// What it sees to write.
    pub writable: Vec<PathGrant>,
    /// What it keeps across boots, if anything.
    pub state: Option<State>,
    /// Why it has a directory of its own below /run, if it has.
    pub runtime: Option<Why>,
    /// The devices it may open besides [`USUAL_DEVICES`].
    pub devices: Vec<Device>,
    /// The sockets it is passed, in this order.
    pub sockets: Vec<Socket>,
    /// The Varlink interfaces it serves.
    pub serves: Vec<Serves>,
    /// The Varlink methods it may call.
    pub calls: Vec<Calls>,
    /// The capabilities it keeps; everything else is dropped for good.
    pub capabilities: Vec<CapabilityGrant>,
    /// The system calls it may make; any other ends it.
    pub system_calls: Vec<SystemCalls>,
    /// The address families of which it may make sockets.
    pub address_families: Vec<FamilyGrant>,
    /// The namespaces it shares with PID 1.
    pub shares: Vec<Share>,
    /// Limits of its control group.
    pub limits: Limits,
    /// Limits of each of its processes.
    pub resources: Vec<ResourceLimit>,
}

/// Where programs find the log, as everywhere: syslog(3), by way of [`SYSLOG_LINK`], and
/// the journal's native protocol.
pub const LOG_SOCKETS: [&str; 2] = [
    "/run/systemd/journal/dev-log",
    "/run/systemd/journal/socket",
];

/// The place that syslog(3) knows, a link to the first of [`LOG_SOCKETS`].
pub const SYSLOG_LINK: &str = "/dev/log";

/// How a service tells that it is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readiness {
    /// By `READY=1` on the socket named by `NOTIFY_SOCKET` (sd_notify(3)).
    Notify,
    /// By having been started.
    Started,
}

/// When a service that ended by itself is started again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartWhen {
    /// However it ended.
    Always,
    /// When it ended by a signal, an exit status other than 0, or a time-out.
    OnFailure,
    /// Not at all.
    Never,
}

/// The restart policy of a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restart {
    /// When it is started again.
    pub when: RestartWhen,
    /// The pause before the first restart; doubled each time within the window.
    pub first_delay: Duration,
    /// The longest pause.
    pub longest_delay: Duration,
    /// Restarts within the window after which the service counts as failed.
    pub limit: u32,
    /// The window.
    pub window: Duration,
}

/// Limits of a service's control group (cgroup v2).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in MiB (`memory.max`).
    pub memory_mib: Option<u32>,
    /// Processes and threads (`pids.max`).
    pub processes: Option<u32>,
    /// Processor time in percent of one processor (`cpu.max`).
    pub cpu_percent: Option<u32>,
}

/// A limit of each process of a service (setrlimit(2)); soft and hard alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceLimit {
    /// What is limited.
    pub resource: Resource,
    /// The limit, in the unit that setrlimit(2) gives for the resource.
    pub value: u64,
}

/// What [`ResourceLimit`] can limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// `RLIMIT_NOFILE`: open files.
    OpenFiles,
    /// `RLIMIT_FSIZE`: bytes of a file it writes.
    FileSize,
    /// `RLIMIT_AS`: bytes of address space.
    AddressSpace,
    /// `RLIMIT_MEMLOCK`: bytes locked in memory.
    LockedMemory,
}

/// Where in the tree the definition of a service may lie; the first that is there
/// counts: the product's own, which replaces the usual one (that of the nearest product
/// along its lineage, see [`crate::product::Product::lineage`]), else in the folder of
/// its program, or, for a program that serves as several services, below that folder's
/// `services/`.
#[must_use]
pub fn definition_paths(lineage: &[String], name: &ServiceName) -> Vec<PathBuf> {
    let name = name.as_str();
    let own = lineage.iter().rev();
    let mut paths: Vec<PathBuf> = own
        .map(|product| format!("products/{product}/services/{name}/service.toml").into())
        .collect();
    paths.push(format!("core/{name}/service.toml").into());
    // A service of a shared program is named after it: `console-serial` is `console`'s.
    for (end, _) in name.match_indices('-') {
        let program = &name[..end];
        paths.push(PathBuf::from(format!(
            "core/{program}/services/{name}/service.toml"
        )));
    }
    // Those of the product for the test bench are no part of the Core.
    paths.push(PathBuf::from(format!(
        "tests/vm/hostile/services/{name}/service.toml"
    )));
    paths
}

impl Service {
    /// Reads a definition; `file` is for the messages only.
    ///
    /// # Errors
    /// Everything wrong with it.
    ///
    /// # Examples
    /// ```
    /// use bastide_config::{name::ServiceName, service::Service};
    /// let text = r#"
    ///     version = 1
    ///     description = "Draws"
    ///     program = "/usr/lib/bastide/console"
    ///     user = "console-serial"
    ///     readiness = "notify"
    ///     [[system-calls]]
    ///     allow = ["@base"]
    ///     why = "draws and does nothing else"
    /// "#;
    /// let name = ServiceName::new("draw").unwrap();
    /// let service = Service::parse(name, "draw/service.toml".as_ref(), text).unwrap();
    /// assert_eq!(service.user.uid(), 501);
    /// ```
    pub fn parse(name: ServiceName, file: &Path, text: &str) -> Result<Self, Problems> {
        let (raw, examination) = Examination::parse::<raw::Service>(file, text)?;
        validate::service(name, raw, examination)
    }
}
