//! What PID 1 tells the stage between itself and a service's program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use bastide_config::name::ServiceName;
use bastide_config::service::{Namespace as Shared, Resource, Service};
use bastide_sandbox::{Item, Namespace};
use serde::{Deserialize, Serialize};

use crate::view::{self, Places};

/// The argument that makes this program the stage.
pub const STAGE_ARGUMENT: &str = "--start-service";

/// The largest settings, in bytes: a definition is bounded, and so are these.
pub const SIZE_LIMIT: u64 = 256 * 1024;

/// Where services say that they are ready: each on a socket of its own.
pub const NOTIFICATIONS: &str = "/run/bastide/notify";

/// Everything the stage needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file by which a process joins the service's control group.
    pub group: PathBuf,
    /// The terminal to own, if any.
    pub tty: Option<PathBuf>,
    /// The namespaces to make.
    pub namespaces: Vec<Namespace>,
    /// What is seen.
    pub items: Vec<Item>,
    /// Whether Landlock is enforced: always, but in tests on kernels without it.
    pub landlock: bool,
    /// Whether Landlock leaves TCP alone, because the network is shared.
    pub network: bool,
    /// Whether Landlock leaves signals alone, because others' processes are in sight.
    pub signals: bool,
    /// Limits of setrlimit(2).
    pub resources: Vec<(Limited, u64)>,
    /// User and group.
    pub uid: u32,
    /// The capabilities kept, as bits.
    pub capabilities: u64,
    /// Numbers of the system calls allowed.
    pub calls: BTreeSet<u16>,
    /// Numbers of the address families allowed.
    pub families: BTreeSet<u16>,
    /// The names of the sockets passed.
    pub sockets: Vec<String>,
    /// The whole environment, but for what depends on the process itself.
    pub environment: BTreeMap<String, String>,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// A resource of setrlimit(2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limited {
    /// `RLIMIT_NOFILE`.
    OpenFiles,
    /// `RLIMIT_FSIZE`.
    FileSize,
    /// `RLIMIT_AS`.
    AddressSpace,
    /// `RLIMIT_MEMLOCK`.
    LockedMemory,
}

/// Where a service says that it is ready.
#[must_use]
pub fn notify_socket(service: &ServiceName) -> PathBuf {
    Path::new(NOTIFICATIONS).join(service.as_str())
}

impl Settings {
    /// The settings of a service whose control group lies in `group`.
    #[must_use]
    pub fn new(service: &Service, group: PathBuf, places: &Places, landlock: bool) -> Self {
        let mut environment = service.environment.clone();
        let notify = notify_socket(&service.name).display().to_string();
        environment.insert("NOTIFY_SOCKET".to_owned(), notify);
        if let Some(watchdog) = service.watchdog {
            let microseconds = watchdog.as_micros().to_string();
            environment.insert("WATCHDOG_USEC".to_owned(), microseconds);
        }
        let resources = service.resources.iter().map(|limit| {
            let resource = match limit.resource {
                Resource::OpenFiles => Limited::OpenFiles,
                Resource::FileSize => Limited::FileSize,
                Resource::AddressSpace => Limited::AddressSpace,
                Resource::LockedMemory => Limited::LockedMemory,
            };
            (resource, limit.value)
        });
        let calls = service.allowed_calls();
        let families = service.address_families.iter();
        let sockets = service.sockets.iter();
        Self {
            group: group.join("cgroup.procs"),
            tty: service
                .tty
                .as_ref()
                .map(|tty| PathBuf::from("/dev").join(&tty.device)),
            namespaces: view::namespaces(service),
            items: view::items(service, places),
            landlock,
            network: service.shares(Shared::Network),
            signals: service.shares(Shared::Pid),
            resources: resources.collect(),
            uid: service.user.uid(),
            capabilities: service
                .capabilities
                .iter()
                .fold(0, |bits, grant| bits | grant.capability.bit()),
            calls: calls.into_iter().map(|call| call.number()).collect(),
            families: families.map(|grant| grant.family.number()).collect(),
            sockets: sockets.map(|socket| socket.name.clone()).collect(),
            environment,
            program: service.program.clone(),
            arguments: service.arguments.clone(),
        }
    }

    /// The environment of the process with this number, as execve(2) takes it.
    #[must_use]
    pub fn environment_of(&self, pid: u32) -> Vec<String> {
        let mut environment = self.environment.clone();
        if !self.sockets.is_empty() {
            for (name, value) in [
                ("LISTEN_PID", pid.to_string()),
                ("LISTEN_FDS", self.sockets.len().to_string()),
                ("LISTEN_FDNAMES", self.sockets.join(":")),
            ] {
                environment.insert(name.to_owned(), value);
            }
        }
        let variables = environment.into_iter();
        variables
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    /// As the stage reads them.
    ///
    /// # Errors
    /// When they are larger than the stage reads.
    pub fn to_json(&self) -> Result<Vec<u8>> {
        let json = serde_json::to_vec(self)?;
        let length = u64::try_from(json.len())?;
        ensure!(length <= SIZE_LIMIT, "settings are {length} bytes long");
        Ok(json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(rest: &str) -> Settings {
        let text = format!(
            "version = 1\ndescription = \"x\"\nprogram = \"/usr/lib/bastide/x\"\nuser = \"console-serial\"\nreadiness = \"notify\"\nsystem-calls = [{{ allow = [\"@base\"], why = \"runs and does nothing else\" }}]\n{rest}"
        );
        let name = ServiceName::new("x").expect("a name");
        let service = Service::parse(name, Path::new("x"), &text)
            .unwrap_or_else(|problems| panic!("{problems}"));
        let places = view::places([&service]);
        Settings::new(&service, PathBuf::from("/group"), &places, true)
    }

    #[test]
    fn a_service_gets_nothing_that_it_does_not_name() {
        let settings = settings("");
        assert_eq!(settings.capabilities, 0);
        assert_eq!(settings.uid, 501);
        assert_eq!(settings.tty, None);
        assert!(settings.families.is_empty() && settings.sockets.is_empty());
        assert!(!settings.network && !settings.signals && settings.landlock);
        assert_eq!(
            settings.environment_of(1),
            ["NOTIFY_SOCKET=/run/bastide/notify/x"]
        );
    }

    #[test]
    fn settings_survive_the_way_to_the_stage() {
        let settings = settings(
            "watchdog-seconds = 2\ncapabilities = [{ name = \"CAP_SYS_TIME\", why = \"sets the clock\" }]\n\
             address-families = [{ family = \"unix\", why = \"tells PID 1\" }]\n\
             sockets = [{ name = \"kernel\", kind = \"kernel-log\", why = \"reads the log\" }, { name = \"audit\", kind = \"audit\", why = \"reads it as well\" }]\n\
             [tty]\ndevice = \"ttyS0\"\nwhy = \"the page is there\"\n[resources]\nopen-files = 8\n",
        );
        assert_eq!(settings.capabilities, 1 << 25);
        assert_eq!(settings.resources, [(Limited::OpenFiles, 8)]);
        assert_eq!(settings.families, BTreeSet::from([1]));
        assert_eq!(
            settings.environment_of(1),
            [
                "LISTEN_FDNAMES=kernel:audit",
                "LISTEN_FDS=2",
                "LISTEN_PID=1",
                "NOTIFY_SOCKET=/run/bastide/notify/x",
                "WATCHDOG_USEC=2000000"
            ]
        );
        let json = settings.to_json().expect("short");
        let back: Settings = serde_json::from_slice(&json).expect("readable");
        assert_eq!(back, settings);
    }
}
