//! Whether definitions fit each other: who calls is let in by whoever is called,
//! sockets and interfaces have one owner, and what a service needs is there.
//!
//! The toolkit asks for everything; PID 1 asks for what it would otherwise have to
//! guess, and keeps the services from starting that do not fit.

use std::collections::BTreeMap;
use std::path::Path;

use super::Service;
use super::check::INIT_INTERFACE;
use crate::name::ServiceName;

/// What does not fit, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disagreement {
    /// The service whose definition is to be mended.
    pub service: ServiceName,
    /// The key of its definition.
    pub key: &'static str,
    /// What is wrong with it.
    pub what: String,
}

/// The services whose definitions are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Those of one machine: a caller that a definition lets in may be absent, and
    /// the supervisor knows about `needs`.
    Machine,
    /// All there are: whatever a definition names must exist, each has a user of
    /// its own, and its memory and processes are limited.
    Tree,
}

/// Everything in which the definitions do not fit each other.
#[must_use]
pub fn disagreements<'services>(
    services: impl IntoIterator<Item = &'services Service>,
    scope: Scope,
) -> Vec<Disagreement> {
    let services: BTreeMap<&ServiceName, &Service> = services
        .into_iter()
        .map(|service| (&service.name, service))
        .collect();
    let mut found = Vec::new();
    let mut add = |service: &Service, key, what| {
        found.push(Disagreement {
            service: service.name.clone(),
            key,
            what,
        });
    };
    let servers = owners(&services, &mut add);
    for service in services.values() {
        calls(service, &servers, &mut add);
        callers(service, &services, scope, &mut add);
        if scope == Scope::Tree {
            completeness(service, &services, &mut add);
        }
    }
    found
}

/// The server of an interface. Two services that claim the same interface or place
/// are a problem of the later one by name.
fn owners<'services>(
    services: &BTreeMap<&'services ServiceName, &'services Service>,
    add: &mut impl FnMut(&Service, &'static str, String),
) -> BTreeMap<&'services str, &'services Service> {
    let mut servers: BTreeMap<&str, &Service> = BTreeMap::new();
    let mut places: BTreeMap<&Path, &Service> = BTreeMap::new();
    for service in services.values() {
        for serves in &service.serves {
            match servers.get(serves.interface.as_str()) {
                Some(other) => add(
                    service,
                    "serves.interface",
                    format!("{} is served by {} already", serves.interface, other.name),
                ),
                None => drop(servers.insert(&serves.interface, service)),
            }
        }
        let own = service.sockets.iter();
        for place in own.filter_map(|socket| socket.kind.place()) {
            match places.get(place.path.as_path()) {
                Some(other) => add(
                    service,
                    "sockets.path",
                    format!(
                        "{} is a socket of {} already",
                        place.path.display(),
                        other.name
                    ),
                ),
                None => drop(places.insert(&place.path, service)),
            }
        }
    }
    servers
}

/// Each call is one that its server lets in.
fn calls(
    service: &Service,
    servers: &BTreeMap<&str, &Service>,
    add: &mut impl FnMut(&Service, &'static str, String),
) {
    for calls in &service.calls {
        let interface = calls.interface.as_str();
        if interface == INIT_INTERFACE {
            continue;
        }
        let Some(server) = servers.get(interface) else {
            add(
                service,
                "calls.interface",
                format!("{interface} is served by no service"),
            );
            continue;
        };
        let mut served = server.serves.iter();
        let lets_in = served
            .any(|serves| serves.interface == interface && serves.callers.contains(&service.name));
        if !lets_in {
            add(
                service,
                "calls.interface",
                format!(
                    "{interface} of {} has not {} among its `callers`",
                    server.name, service.name
                ),
            );
        }
    }
}

/// Each caller let in is one that calls.
fn callers(
    service: &Service,
    services: &BTreeMap<&ServiceName, &Service>,
    scope: Scope,
    add: &mut impl FnMut(&Service, &'static str, String),
) {
    for serves in &service.serves {
        for caller in &serves.callers {
            match services.get(caller) {
                Some(other) => {
                    let calls = |calls: &super::Calls| calls.interface == serves.interface;
                    if !other.calls.iter().any(calls) {
                        add(
                            service,
                            "serves.callers",
                            format!("{caller} does not call {}", serves.interface),
                        );
                    }
                }
                None if scope == Scope::Tree => {
                    add(
                        service,
                        "serves.callers",
                        format!("{caller} does not exist"),
                    );
                }
                None => {}
            }
        }
    }
}

fn completeness(
    service: &Service,
    services: &BTreeMap<&ServiceName, &Service>,
    add: &mut impl FnMut(&Service, &'static str, String),
) {
    for need in &service.needs {
        if !services.contains_key(need) {
            add(service, "needs", format!("{need} does not exist"));
        }
    }
    let mut earlier = services
        .values()
        .take_while(|other| other.name != service.name);
    if let Some(other) = earlier.find(|other| other.user == service.user && !other.user.is_root()) {
        add(
            service,
            "user",
            format!("{} is the user of {} already", service.user, other.name),
        );
    }
    for (limit, key) in [
        (service.limits.memory_mib, "limits.memory-mib"),
        (service.limits.processes, "limits.processes"),
    ] {
        if limit.is_none() {
            add(
                service,
                key,
                "is missing: no service is without limits".to_owned(),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(name: &str, user: &str, rest: &str) -> Service {
        let text = format!(
            "version = 1\ndescription = \"x\"\nprogram = \"/usr/lib/bastide/x\"\nuser = \"{user}\"\nreadiness = \"started\"\n\
             {rest}\n[[system-calls]]\nallow = [\"@base\"]\nwhy = \"runs and does nothing\"\n\
             [limits]\nmemory-mib = 1\nprocesses = 1\n"
        );
        let name = ServiceName::new(name).expect("a name");
        Service::parse(name, Path::new("x"), &text).unwrap_or_else(|problems| panic!("{problems}"))
    }

    fn server(callers: &str) -> Service {
        service(
            "log",
            "log",
            &format!(
                "[[sockets]]\nname = \"varlink\"\nkind = \"stream\"\npath = \"/run/bastide/org.bastide.Log\"\nmode = \"0666\"\nwhy = \"others read there\"\n\
                 [[serves]]\ninterface = \"org.bastide.Log\"\nsocket = \"varlink\"\ncallers = [{callers}]\nwhy = \"they show the log\"\n"
            ),
        )
    }

    fn caller(name: &str, user: &str) -> Service {
        service(
            name,
            user,
            "[[calls]]\ninterface = \"org.bastide.Log\"\nmethods = [\"Read\"]\nwhy = \"shows the log\"\n\
             [[calls]]\ninterface = \"org.bastide.Init\"\nmethods = [\"GetStatus\"]\nwhy = \"shows the state\"\n",
        )
    }

    fn found(services: &[Service], scope: Scope) -> Vec<String> {
        disagreements(services, scope)
            .into_iter()
            .map(|found| format!("{} {}: {}", found.service, found.key, found.what))
            .collect()
    }

    #[test]
    fn both_sides_of_a_call_must_agree() {
        let reader = caller("console-serial", "console-serial");
        let none: [&str; 0] = [];
        for scope in [Scope::Machine, Scope::Tree] {
            let fit = [server("\"console-serial\""), reader.clone()];
            assert_eq!(found(&fit, scope), none);
            assert_eq!(
                found(&[server(""), reader.clone()], scope),
                [
                    "console-serial calls.interface: org.bastide.Log of log has not console-serial among its `callers`"
                ]
            );
            assert_eq!(
                found(std::slice::from_ref(&reader), scope),
                ["console-serial calls.interface: org.bastide.Log is served by no service"]
            );
            let silent = service("console-serial", "console-serial", "");
            assert_eq!(
                found(&[server("\"console-serial\""), silent], scope),
                ["log serves.callers: console-serial does not call org.bastide.Log"]
            );
        }
    }

    #[test]
    fn a_machine_need_not_have_every_caller_and_the_tree_must() {
        let lone = [server("\"console-serial\"")];
        assert!(found(&lone, Scope::Machine).is_empty());
        assert_eq!(
            found(&lone, Scope::Tree),
            ["log serves.callers: console-serial does not exist"]
        );
    }

    #[test]
    fn interfaces_places_and_users_have_one_owner() {
        let mut twin = server("");
        twin.name = ServiceName::new("log-two").expect("a name");
        assert_eq!(
            found(&[server(""), twin], Scope::Tree),
            [
                "log-two serves.interface: org.bastide.Log is served by log already",
                "log-two sockets.path: /run/bastide/org.bastide.Log is a socket of log already",
                "log-two user: log is the user of log already",
            ]
        );
    }

    #[test]
    fn needs_and_limits_are_complete_in_the_tree() {
        let mut lone = service("log", "log", "needs = [\"clock\"]");
        lone.limits.memory_mib = None;
        lone.limits.processes = None;
        assert_eq!(
            found(&[lone], Scope::Tree),
            [
                "log needs: clock does not exist",
                "log limits.memory-mib: is missing: no service is without limits",
                "log limits.processes: is missing: no service is without limits",
            ]
        );
    }
}
