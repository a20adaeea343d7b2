//! What PID 1 tells the stage between itself and a service's program.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use bastide_config::service::{Resource, Service};
use serde::{Deserialize, Serialize};

/// The argument that makes this program the stage.
pub const STAGE_ARGUMENT: &str = "--start-service";

/// The largest settings, in bytes: a definition is bounded, and so are these.
pub const SIZE_LIMIT: u64 = 256 * 1024;

/// Where services say that they are ready.
pub const NOTIFY_SOCKET: &str = "/run/bastide/notify";

/// Everything the stage does, in the order in which it does it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The file by which a process joins the service's control group.
    pub group: PathBuf,
    /// The terminal to own, if any.
    pub tty: Option<PathBuf>,
    /// Limits of setrlimit(2).
    pub resources: Vec<(Limited, u64)>,
    /// User and group.
    pub uid: u32,
    /// The capabilities kept, as bits.
    pub capabilities: u64,
    /// The whole environment.
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

impl Settings {
    /// The settings of a service whose control group lies in `group`.
    #[must_use]
    pub fn new(service: &Service, group: PathBuf) -> Self {
        let mut environment = service.environment.clone();
        environment.insert("NOTIFY_SOCKET".to_owned(), NOTIFY_SOCKET.to_owned());
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
        Self {
            group: group.join("cgroup.procs"),
            tty: service
                .tty
                .as_ref()
                .map(|tty| PathBuf::from("/dev").join(&tty.device)),
            resources: resources.collect(),
            uid: service.user.uid(),
            capabilities: service
                .capabilities
                .iter()
                .fold(0, |bits, grant| bits | grant.capability.bit()),
            environment,
            program: service.program.clone(),
            arguments: service.arguments.clone(),
        }
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
    use std::path::Path;

    use bastide_config::name::ServiceName;

    use super::*;

    fn settings(rest: &str) -> Settings {
        let text = format!(
            "version = 1\ndescription = \"x\"\nprogram = \"/usr/lib/bastide/x\"\nuser = \"console-serial\"\nreadiness = \"notify\"\nsystem-calls = [{ allow = [\"@base\"], why = \"runs and does nothing else\" }]\n{rest}"
        );
        let name = ServiceName::new("x").expect("a name");
        let service = Service::parse(name, Path::new("x"), &text)
            .unwrap_or_else(|problems| panic!("{problems}"));
        Settings::new(&service, PathBuf::from("/group"))
    }

    #[test]
    fn a_service_gets_nothing_that_it_does_not_name() {
        let settings = settings("");
        assert_eq!(settings.capabilities, 0);
        assert_eq!(settings.uid, 501);
        assert_eq!(settings.tty, None);
        let names: Vec<&String> = settings.environment.keys().collect();
        assert_eq!(names, ["NOTIFY_SOCKET"]);
    }

    #[test]
    fn settings_survive_the_way_to_the_stage() {
        let settings = settings(
            "watchdog-seconds = 2\ncapabilities = [{ name = \"CAP_SYS_TIME\", why = \"sets the clock\" }]\n[tty]\ndevice = \"ttyS0\"\nwhy = \"the page is there\"\n[resources]\nopen-files = 8\n",
        );
        assert_eq!(settings.capabilities, 1 << 25);
        assert_eq!(settings.environment["WATCHDOG_USEC"], "2000000");
        assert_eq!(settings.resources, [(Limited::OpenFiles, 8)]);
        let json = settings.to_json().expect("short");
        let back: Settings = serde_json::from_slice(&json).expect("readable");
        assert_eq!(back, settings);
    }
}
