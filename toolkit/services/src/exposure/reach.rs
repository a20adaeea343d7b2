//! What a service can reach, in a few words per topic.

use bastide_config::service::{
    DeviceAccess, Namespace, Resource, Service, SocketKind, USUAL_DEVICES,
};

use super::Topic;

/// What `service` can reach of the topic.
pub(super) fn of(service: &Service, topic: Topic) -> String {
    match topic {
        Topic::User => format!("{} ({})", service.user, service.user.uid()),
        Topic::Privileges => "none to gain".to_owned(),
        Topic::Capabilities => or_none(list(&service.capabilities, |grant| {
            grant.capability.to_string()
        })),
        Topic::Namespaces => namespaces(service),
        Topic::FileSystem => files(service),
        Topic::Devices => devices(service),
        Topic::Kernel => kernel(service),
        Topic::Network if service.shares(Namespace::Network) => {
            "that of PID 1's namespace".to_owned()
        }
        Topic::Network => "none".to_owned(),
        Topic::AddressFamilies => or_none(list(&service.address_families, |grant| {
            grant.family.to_string()
        })),
        Topic::SystemCalls => {
            let items: Vec<&str> = service
                .system_calls
                .iter()
                .flat_map(|grant| grant.allow.iter().map(String::as_str))
                .collect();
            format!("{}: {}", service.allowed_calls().len(), items.join(", "))
        }
        Topic::Memory => "written or executed, never both".to_owned(),
        Topic::Calls => calls(service),
        Topic::Limits => limits(service),
    }
}

fn list<T>(grants: &[T], words: impl Fn(&T) -> String) -> String {
    let words: Vec<String> = grants.iter().map(words).collect();
    words.join(", ")
}

fn or_none(text: String) -> String {
    match text.is_empty() {
        true => "none".to_owned(),
        false => text,
    }
}

fn namespaces(service: &Service) -> String {
    let (shared, own): (Vec<Namespace>, Vec<Namespace>) = Namespace::ALL
        .into_iter()
        .partition(|namespace| service.shares(*namespace));
    let words = |list: &[Namespace]| -> String {
        let words: Vec<&str> = list.iter().map(|namespace| namespace.as_str()).collect();
        words.join(", ")
    };
    let mut text = "own: mount, cgroup".to_owned();
    if !own.is_empty() {
        text.push_str(&format!(", {}", words(&own)));
    }
    if !shared.is_empty() {
        text.push_str(&format!("; shared: {}", words(&shared)));
    }
    text
}

fn files(service: &Service) -> String {
    let path = |path: &std::path::Path| path.display().to_string();
    let mut parts = vec!["reads /usr".to_owned()];
    let readable = list(&service.readable, |grant| path(&grant.path));
    if !readable.is_empty() {
        parts.push(readable);
    }
    let mut text = parts.join(", ");
    let mut writes = vec!["/tmp of its own".to_owned()];
    writes.extend(service.writable.iter().map(|grant| path(&grant.path)));
    writes.extend(service.runtime_directory().map(|place| path(&place)));
    if let (Some(state), Some(place)) = (&service.state, service.state_directory()) {
        writes.push(format!("{} ({} MiB)", place.display(), state.size_mib));
    }
    text.push_str(&format!("; writes {}", writes.join(", ")));
    text
}

/// The words for what may be done with a device.
pub(crate) fn access(access: DeviceAccess) -> &'static str {
    match access {
        DeviceAccess::Read => "read",
        DeviceAccess::Write => "write",
        DeviceAccess::ReadWrite => "read, write",
    }
}

fn devices(service: &Service) -> String {
    let mut parts = vec![USUAL_DEVICES.join(", ")];
    if let Some(tty) = &service.tty {
        parts.push(format!("its terminal {}", tty.device));
    }
    for device in &service.devices {
        parts.push(format!(
            "{} ({})",
            device.path.display(),
            access(device.access)
        ));
    }
    parts.join("; ")
}

fn kernel(service: &Service) -> String {
    let mut parts = vec!["own processes in /proc"];
    for socket in &service.sockets {
        match socket.kind {
            SocketKind::KernelLog => parts.push("the kernel's log"),
            SocketKind::Audit => parts.push("audit records"),
            _ => {}
        }
    }
    parts.join(", ")
}

fn calls(service: &Service) -> String {
    let mut parts: Vec<String> = service
        .calls
        .iter()
        .map(|calls| format!("calls {} ({})", calls.interface, calls.methods.join(", ")))
        .collect();
    if service.reaches_log() {
        parts.push("logs by syslog and the journal's protocol".to_owned());
    }
    for serves in &service.serves {
        let callers = or_none(list(&serves.callers, ToString::to_string));
        parts.push(format!("serves {} to {callers}", serves.interface));
    }
    for socket in &service.sockets {
        if let Some(place) = socket.kind.place()
            && !service
                .serves
                .iter()
                .any(|serves| serves.socket == socket.name)
        {
            parts.push(format!("listens on {}", place.path.display()));
        }
    }
    or_none(parts.join("; "))
}

fn limits(service: &Service) -> String {
    let mut parts = Vec::new();
    let limits = [
        (service.limits.memory_mib, " MiB of memory"),
        (service.limits.processes, " processes"),
        (service.limits.cpu_percent, " % of a processor"),
    ];
    for (limit, unit) in limits {
        if let Some(limit) = limit {
            parts.push(format!("{limit}{unit}"));
        }
    }
    for limit in &service.resources {
        parts.push(format!("{} {}", limit.value, resource(limit.resource)));
    }
    or_none(parts.join(", "))
}

/// What a limit of setrlimit(2) counts.
pub(crate) fn resource(resource: Resource) -> &'static str {
    match resource {
        Resource::OpenFiles => "open files",
        Resource::FileSize => "bytes per file",
        Resource::AddressSpace => "bytes of address space",
        Resource::LockedMemory => "bytes of locked memory",
    }
}
