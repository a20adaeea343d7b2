//! What a service sees in its sandbox and what it may do there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bastide_config::service::{
    LOG_SOCKETS, Namespace as Shared, SYSLOG_LINK, Service, USUAL_DEVICES,
};
use bastide_ipc::init;
use bastide_landlock::{Access, Rule, loader};
use bastide_sandbox::{Item, Namespace, Scratch};

use crate::settings::notify_socket;

/// Where programs and libraries lie.
const PROGRAMS: &str = "/usr";

/// Where the dynamic loader looks for itself and for libraries.
const LIBRARIES: [&str; 2] = ["/lib", "/lib64"];

/// The most a service may put into /tmp, in KiB. It counts as the service's memory.
const TEMPORARY_KIB: u32 = 16 * 1024;

/// Where the socket of each interface lies.
pub type Places = BTreeMap<String, PathBuf>;

/// Gathers where the interfaces of services are served.
pub fn places<'services>(services: impl IntoIterator<Item = &'services Service>) -> Places {
    let mut places = Places::from([(init::INTERFACE.to_owned(), PathBuf::from(init::SOCKET))]);
    for service in services {
        for serves in &service.serves {
            let socket = service.socket(&serves.socket);
            if let Some(place) = socket.and_then(|socket| socket.kind.place()) {
                places.insert(serves.interface.clone(), place.path.clone());
            }
        }
    }
    places
}

/// Everything that a service sees.
pub fn items(service: &Service, places: &Places) -> Vec<Item> {
    let mut items = vec![
        Item::Programs(PathBuf::from(PROGRAMS)),
        Item::Processes,
        Item::Readable(notify_socket(&service.name)),
        Item::Scratch(Scratch {
            path: PathBuf::from("/tmp"),
            size_kib: TEMPORARY_KIB,
        }),
    ];
    items.extend(LIBRARIES.map(|path| Item::Link(PathBuf::from(path))));
    items.extend(USUAL_DEVICES.map(|name| Item::UsualDevice(Path::new("/dev").join(name))));
    if service.reaches_log() {
        items.extend(LOG_SOCKETS.map(|path| Item::Readable(PathBuf::from(path))));
        items.push(Item::Link(PathBuf::from(SYSLOG_LINK)));
    }
    let called = service.calls.iter();
    let called = called.filter_map(|calls| places.get(&calls.interface));
    items.extend(called.cloned().map(Item::Readable));
    let readable = service.readable.iter().map(|grant| grant.path.clone());
    // What is below /usr is there already.
    let readable = readable.filter(|path| !path.starts_with(PROGRAMS));
    items.extend(readable.map(Item::Readable));
    let writable = service.writable.iter().map(|grant| grant.path.clone());
    items.extend(
        writable
            .chain(service.state_directory())
            .chain(service.runtime_directory())
            .map(Item::Writable),
    );
    items.extend(service.devices.iter().map(|device| Item::Device {
        path: device.path.clone(),
        read: device.access.reads(),
        write: device.access.writes(),
    }));
    items
}

/// The namespaces of its own, that of processes left out: PID 1 makes that one.
pub fn namespaces(service: &Service) -> Vec<Namespace> {
    let mut own = vec![Namespace::Mount, Namespace::Group];
    for (shared, namespace) in [
        (Shared::Network, Namespace::Network),
        (Shared::Ipc, Namespace::Ipc),
        (Shared::Uts, Namespace::Uts),
    ] {
        if !service.shares(shared) {
            own.push(namespace);
        }
    }
    own
}

/// What Landlock allows of what is seen. `exists`: whether a path is there.
pub fn rules(items: &[Item], program: &Path, exists: impl Fn(&Path) -> bool) -> Vec<Rule> {
    let mut rules: Vec<Rule> = [program, loader()]
        .into_iter()
        .map(|path| Rule {
            path: path.to_owned(),
            access: Access::Execute,
        })
        .collect();
    for item in items {
        let access = match item {
            Item::Programs(_) | Item::Readable(_) | Item::Processes => Access::Read,
            Item::Writable(_) | Item::Scratch(_) => Access::Change,
            Item::UsualDevice(_) => Access::Device {
                read: true,
                write: true,
                requests: false,
            },
            Item::Device { read, write, .. } => Access::Device {
                read: *read,
                write: *write,
                requests: true,
            },
            Item::Link(_) => continue,
        };
        rules.push(Rule {
            path: item.path().to_owned(),
            access,
        });
    }
    rules.retain(|rule| exists(&rule.path));
    rules
}

#[cfg(test)]
mod tests {
    use bastide_config::name::ServiceName;

    use super::*;

    fn service(rest: &str) -> Service {
        with_calls("\"@base\"", rest)
    }

    fn with_calls(calls: &str, rest: &str) -> Service {
        let text = format!(
            "version = 1\ndescription = \"x\"\nprogram = \"/usr/lib/bastide/x\"\nuser = \"log\"\nreadiness = \"notify\"\n\
             system-calls = [{{ allow = [{calls}], why = \"runs and does nothing else\" }}]\n{rest}"
        );
        let name = ServiceName::new("log").expect("a name");
        Service::parse(name, Path::new("x"), &text).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn seen(service: &Service) -> Vec<String> {
        let mut places = places([service]);
        places.insert("org.bastide.Other".to_owned(), PathBuf::from("/run/other"));
        let items = items(service, &places);
        items.iter().map(|item| format!("{item:?}")).collect()
    }

    #[test]
    fn a_service_sees_nothing_that_it_does_not_name() {
        let bare = service("");
        assert_eq!(seen(&bare).len(), 4 + 2 + 5);
        assert_eq!(
            namespaces(&bare),
            [
                Namespace::Mount,
                Namespace::Group,
                Namespace::Network,
                Namespace::Ipc,
                Namespace::Uts
            ]
        );
        assert!(
            !seen(&bare)
                .iter()
                .any(|item| item.contains("org.bastide.Init"))
        );
    }

    #[test]
    fn what_it_names_is_what_it_sees() {
        let full = service(
            "readable = [{ path = \"/etc/x\", why = \"reads its table\" }, { path = \"/usr/share/x\", why = \"is there anyway\" }]\n\
             writable = [{ path = \"/run/shared\", why = \"writes its table\" }]\n\
             devices = [{ path = \"/dev/tpmrm0\", access = \"read\", why = \"asks the TPM\" }]\n\
             calls = [{ interface = \"org.bastide.Init\", methods = [\"GetStatus\"], why = \"shows the state\" }, { interface = \"org.bastide.Other\", methods = [\"Do\"], why = \"lets it do it\" }]\n\
             shares = [{ namespace = \"network\", why = \"moves interfaces\" }]\n\
             state = { size-mib = 1, why = \"keeps its table\" }\nruntime = { why = \"shares with itself\" }\n",
        );
        let seen = seen(&full);
        for item in [
            r#"Readable("/etc/x")"#,
            r#"Writable("/run/shared")"#,
            r#"Writable("/var/lib/log")"#,
            r#"Readable("/run/bastide/org.bastide.Init")"#,
            r#"Readable("/run/other")"#,
            r#"Device { path: "/dev/tpmrm0", read: true, write: false }"#,
            r#"Writable("/run/log")"#,
        ] {
            assert!(seen.iter().any(|seen| seen == item), "{item} in {seen:?}");
        }
        assert!(!seen.iter().any(|item| item.contains("/usr/share")));
        assert!(!namespaces(&full).contains(&Namespace::Network));
    }

    #[test]
    fn who_can_use_local_sockets_reaches_the_log_but_the_log_itself() {
        let unix = "address-families = [{ family = \"unix\", why = \"logs what it does\" }]\n";
        let calls = |rest: &str| with_calls("\"@base\", \"@connect\"", rest);
        let logs = |service: &Service| {
            let seen = seen(service);
            [
                r#"Readable("/run/systemd/journal/dev-log")"#,
                r#"Readable("/run/systemd/journal/socket")"#,
                r#"Link("/dev/log")"#,
            ]
            .map(|item| seen.iter().any(|seen| seen == item))
        };
        assert_eq!(logs(&calls(unix)), [true; 3]);
        // Neither alone is of any use.
        assert_eq!(logs(&service(unix)), [false; 3]);
        assert_eq!(logs(&calls("")), [false; 3]);
        let own = "sockets = [{ name = \"syslog\", kind = \"datagram\", path = \"/run/systemd/journal/dev-log\", mode = \"0666\", why = \"is the log itself\" }]\n";
        assert_eq!(logs(&calls(&format!("{unix}{own}"))), [false; 3]);
    }

    #[test]
    fn only_the_program_and_its_loader_are_executed() {
        let service = service("");
        let items = items(&service, &places([&service]));
        let rules = rules(&items, &service.program, |path| path != Path::new("/proc"));
        let executed: Vec<&Path> = rules
            .iter()
            .filter(|rule| rule.access == Access::Execute)
            .map(|rule| rule.path.as_path())
            .collect();
        assert_eq!(executed, [service.program.as_path(), loader()]);
        assert!(!rules.iter().any(|rule| rule.path == Path::new("/proc")));
    }
}
