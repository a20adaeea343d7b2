//! What a service may touch, each thing with its kind and reason.

use bastide_config::name::Why;
use bastide_config::service::{Service, SocketKind};
use serde::Serialize;

use crate::exposure::{access, resource};

/// What kind of thing it is. The order is that in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A socket that others reach it by, or a stream of the kernel's.
    Socket,
    /// A Varlink interface that it serves.
    Serves,
    /// A terminal or another device.
    Device,
    /// A path it reads.
    Reads,
    /// A path it writes.
    Writes,
    /// What it keeps across boots.
    State,
    /// A capability it keeps.
    Capability,
    /// A namespace it shares with PID 1.
    Shares,
    /// A family of sockets it may make.
    Family,
    /// System calls it may make.
    Calls,
    /// A limit.
    Limit,
}

impl Kind {
    /// The word for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Socket => "socket",
            Self::Serves => "serves",
            Self::Device => "device",
            Self::Reads => "reads",
            Self::Writes => "writes",
            Self::State => "state",
            Self::Capability => "capability",
            Self::Shares => "shares",
            Self::Family => "family",
            Self::Calls => "system calls",
            Self::Limit => "limit",
        }
    }
}

/// A thing that a service may touch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Resource {
    /// What kind of thing.
    pub kind: Kind,
    /// Which.
    pub what: String,
    /// Why, where the definition says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// Everything that a service may touch besides what every service has.
pub(super) fn of(service: &Service) -> Vec<Resource> {
    let mut found = Vec::new();
    let mut add = |kind, what: String, why: Option<&Why>| {
        found.push(Resource {
            kind,
            what,
            why: why.map(|why| why.as_str().to_owned()),
        });
    };
    for socket in &service.sockets {
        let what = match (&socket.kind, socket.kind.place()) {
            (_, Some(place)) => format!("{} {:04o}", place.path.display(), place.mode),
            (SocketKind::Audit, None) => "audit records of the kernel".to_owned(),
            (_, None) => "the kernel's log".to_owned(),
        };
        add(Kind::Socket, what, Some(&socket.why));
    }
    for serves in &service.serves {
        let callers: Vec<&str> = serves.callers.iter().map(|name| name.as_str()).collect();
        let what = match callers.as_slice() {
            [] => format!("{} to nobody", serves.interface),
            callers => format!("{} to {}", serves.interface, callers.join(", ")),
        };
        add(Kind::Serves, what, Some(&serves.why));
    }
    if let Some(tty) = &service.tty {
        add(
            Kind::Device,
            format!("/dev/{} (its terminal)", tty.device),
            Some(&tty.why),
        );
    }
    for device in &service.devices {
        let what = format!("{} ({})", device.path.display(), access(device.access));
        add(Kind::Device, what, Some(&device.why));
    }
    for grant in &service.readable {
        add(
            Kind::Reads,
            grant.path.display().to_string(),
            Some(&grant.why),
        );
    }
    for grant in &service.writable {
        add(
            Kind::Writes,
            grant.path.display().to_string(),
            Some(&grant.why),
        );
    }
    if let Some(place) = service.runtime_directory() {
        let what = format!("{} (in memory)", place.display());
        add(Kind::Writes, what, service.runtime.as_ref());
    }
    if let (Some(state), Some(place)) = (&service.state, service.state_directory()) {
        let what = format!("{} ({} MiB)", place.display(), state.size_mib);
        add(Kind::State, what, Some(&state.why));
    }
    for grant in &service.capabilities {
        add(
            Kind::Capability,
            grant.capability.to_string(),
            Some(&grant.why),
        );
    }
    for share in &service.shares {
        let what = format!("the {} namespace of PID 1", share.namespace);
        add(Kind::Shares, what, Some(&share.why));
    }
    for grant in &service.address_families {
        add(Kind::Family, grant.family.to_string(), Some(&grant.why));
    }
    for grant in &service.system_calls {
        add(Kind::Calls, grant.allow.join(", "), Some(&grant.why));
    }
    for (limit, unit) in [
        (service.limits.memory_mib, "MiB of memory"),
        (service.limits.processes, "processes"),
        (service.limits.cpu_percent, "% of a processor"),
    ] {
        if let Some(limit) = limit {
            add(Kind::Limit, format!("{limit} {unit}"), None);
        }
    }
    for limit in &service.resources {
        let what = format!("{} {}", limit.value, resource(limit.resource));
        add(Kind::Limit, what, None);
    }
    found.sort_by_key(|resource| resource.kind);
    found
}
