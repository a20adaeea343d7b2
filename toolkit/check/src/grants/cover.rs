//! What a definition grants, and whether that covers what code asks for.

use std::collections::BTreeSet;
use std::path::Path;

use bastide_config::service::{LOG_SOCKETS, SYSLOG_LINK, Service, USUAL_DEVICES};
use bastide_services::catalogue::Defined;

use super::asks::{Ask, What};

/// PID 1's interface and where it serves it.
const INIT: (&str, &str) = ("org.bastide.Init", "/run/bastide/org.bastide.Init");

/// Paths that every service has, with everything below: programs and their data, its
/// own processes, where it says that it is ready.
const ALWAYS: [&str; 4] = [
    "/usr",
    "/proc/self",
    "/proc/thread-self",
    "/run/bastide/notify",
];

/// What a service may ask for.
#[derive(Debug)]
pub(super) struct Granted {
    /// Paths, and whether they cover what is below.
    always: Vec<String>,
    paths: BTreeSet<String>,
    interfaces: BTreeSet<String>,
    families: BTreeSet<String>,
    capabilities: BTreeSet<String>,
    /// Keys and paths that some code should name; without those that others use for
    /// the service, as PID 1 does with its terminal.
    named: Vec<(&'static str, What)>,
}

impl Granted {
    /// What a service is granted; `all` are the services that it may call.
    pub fn of(service: &Service, all: &[Defined]) -> Self {
        let text = |path: &Path| path.display().to_string();
        let mut named = Vec::new();
        let mut paths = BTreeSet::new();
        let readable = service
            .readable
            .iter()
            .map(|grant| ("readable", &grant.path));
        let writable = service
            .writable
            .iter()
            .map(|grant| ("writable", &grant.path));
        let devices = service.devices.iter().map(|grant| ("devices", &grant.path));
        for (key, path) in readable.chain(writable).chain(devices) {
            paths.insert(text(path));
            named.push((key, What::Path(text(path))));
        }
        paths.extend(service.state_directory().map(|path| text(&path)));
        paths.extend(service.runtime_directory().map(|path| text(&path)));
        paths.extend(service.tty.iter().map(|tty| format!("/dev/{}", tty.device)));
        for socket in &service.sockets {
            paths.extend(socket.kind.place().map(|place| text(&place.path)));
        }
        if service.reaches_log() {
            paths.extend(
                LOG_SOCKETS
                    .into_iter()
                    .chain([SYSLOG_LINK])
                    .map(str::to_owned),
            );
        }
        let mut interfaces = BTreeSet::new();
        for calls in &service.calls {
            interfaces.insert(calls.interface.clone());
            named.push(("calls", What::Interface(calls.interface.clone())));
            paths.extend(place(&calls.interface, all));
        }
        for serves in &service.serves {
            interfaces.insert(serves.interface.clone());
            named.push(("serves", What::Interface(serves.interface.clone())));
        }
        let usual = USUAL_DEVICES.iter().map(|name| format!("/dev/{name}"));
        let families = service.address_families.iter();
        let capabilities = service.capabilities.iter();
        Self {
            always: ALWAYS.map(str::to_owned).into_iter().chain(usual).collect(),
            paths,
            interfaces,
            families: families.map(|grant| grant.family.to_string()).collect(),
            capabilities: capabilities
                .map(|grant| grant.capability.to_string())
                .collect(),
            named,
        }
    }

    /// Whether what is asked for is granted. A path is when it is a granted one or below
    /// it, or a directory above it, which code puts the rest of the path on.
    pub fn covers(&self, what: &What) -> bool {
        match what {
            What::Path(path) => {
                let mut every = self.always.iter().chain(&self.paths);
                every.any(|grant| is_below(path, grant))
                    || self.paths.iter().any(|grant| is_below(grant, path))
            }
            What::Interface(name) => self.interfaces.contains(name),
            What::Family(name) => self.families.contains(name),
            What::Capability(name) => self.capabilities.contains(name),
        }
    }

    /// What is granted and not named by anything asked for, with its key.
    pub fn unused(&self, asked: &BTreeSet<Ask>) -> Vec<String> {
        let names = |grant: &What, ask: &What| match (grant, ask) {
            (What::Path(grant), What::Path(path)) => {
                // A whole /dev or /sys in code says nothing about what is in it.
                let deep = path.matches('/').count() > 1;
                is_below(path, grant) || deep && is_below(grant, path)
            }
            // Whoever knows the socket knows the interface.
            (What::Interface(name), What::Path(path)) => path.ends_with(&format!("/{name}")),
            _ => grant == ask,
        };
        self.named
            .iter()
            .filter(|(_, grant)| !asked.iter().any(|ask| names(grant, &ask.what)))
            .map(|(key, grant)| format!("`{key}`: {grant}"))
            .collect()
    }
}

/// Where an interface is served.
fn place(interface: &str, all: &[Defined]) -> Option<String> {
    if interface == INIT.0 {
        return Some(INIT.1.to_owned());
    }
    all.iter().find_map(|Defined { service, .. }| {
        let mut serves = service.serves.iter();
        let serves = serves.find(|serves| serves.interface == interface)?;
        let place = service.socket(&serves.socket)?.kind.place()?;
        Some(place.path.display().to_string())
    })
}

/// Whether a path is another, or inside it.
fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_begins_alike_is_not_below() {
        assert!(is_below("/sys/class/tpm/tpm0", "/sys/class/tpm"));
        assert!(is_below("/sys/class/tpm", "/sys/class/tpm"));
        assert!(!is_below("/sys/class/tpmrm", "/sys/class/tpm"));
    }
}
