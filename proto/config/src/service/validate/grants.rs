//! What the service is granted. An item that is wrong is left out here; the
//! problem recorded with it keeps the definition from being used.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::super::{
    Calls, CapabilityGrant, Device, DeviceAccess, FamilyGrant, Namespace, PathGrant, Serves, Share,
    Socket, SocketKind, SocketPlace, State, SystemCalls, Tty, check, raw,
};
use super::number;
use crate::address_family::AddressFamily;
use crate::capability::Capability;
use crate::name::{ServiceName, Why, check_name};
use crate::problem::{Examination, Spanned};
use crate::system_call;

/// The largest state directory, in MiB: 1 TiB.
const STATE_LIMIT: u64 = 1 << 20;

pub(super) struct Granted {
    pub tty: Option<Tty>,
    pub readable: Vec<PathGrant>,
    pub writable: Vec<PathGrant>,
    pub state: Option<State>,
    pub runtime: Option<Why>,
    pub devices: Vec<Device>,
    pub sockets: Vec<Socket>,
    pub serves: Vec<Serves>,
    pub calls: Vec<Calls>,
    pub capabilities: Vec<CapabilityGrant>,
    pub system_calls: Vec<SystemCalls>,
    pub address_families: Vec<FamilyGrant>,
    pub shares: Vec<Share>,
}

pub(super) fn all(raw: &raw::Service, seen: &mut Examination<'_>) -> Granted {
    let sockets = sockets(&raw.sockets, seen);
    Granted {
        tty: raw.tty.as_ref().and_then(|tty| terminal(tty, seen)),
        readable: paths(&raw.readable, "readable", check::readable, seen),
        writable: paths(&raw.writable, "writable", check::writable, seen),
        state: raw
            .state
            .as_ref()
            .and_then(|state| self::state(state, seen)),
        runtime: raw
            .runtime
            .as_ref()
            .and_then(|runtime| why(&runtime.why, "runtime.why", seen)),
        devices: devices(&raw.devices, seen),
        serves: serves(&raw.serves, &sockets, seen),
        sockets,
        calls: calls(&raw.calls, seen),
        capabilities: capabilities(&raw.capabilities, seen),
        system_calls: system_calls(&raw.system_calls, seen),
        address_families: address_families(&raw.address_families, seen),
        shares: shares(&raw.shares, seen),
    }
}

fn why(text: &Spanned<String>, key: &str, seen: &mut Examination<'_>) -> Option<Why> {
    seen.check(text, key, |text| Why::new(text))
}

/// Refuses what an earlier item has claimed already.
fn once<T: PartialEq>(
    value: T,
    earlier: impl IntoIterator<Item = T>,
    text: &str,
) -> Result<T, String> {
    if earlier.into_iter().any(|other| other == value) {
        return Err(format!("`{text}` is listed twice"));
    }
    Ok(value)
}

fn terminal(raw: &raw::Tty, seen: &mut Examination<'_>) -> Option<Tty> {
    let device = seen.check(&raw.device, "tty.device", |text| check::terminal(text));
    let why = why(&raw.why, "tty.why", seen);
    Some(Tty {
        device: device?,
        why: why?,
    })
}

fn paths(
    raw: &[raw::Path],
    key: &str,
    check: fn(&str) -> Result<PathBuf, String>,
    seen: &mut Examination<'_>,
) -> Vec<PathGrant> {
    seen.bound(raw, key);
    let mut all: Vec<PathGrant> = Vec::new();
    for entry in raw {
        let path = seen.check(&entry.path, &format!("{key}.path"), |text| {
            once(
                check(text)?,
                all.iter().map(|grant| grant.path.clone()),
                text,
            )
        });
        let why = why(&entry.why, &format!("{key}.why"), seen);
        if let (Some(path), Some(why)) = (path, why) {
            all.push(PathGrant { path, why });
        }
    }
    all
}

fn state(raw: &raw::State, seen: &mut Examination<'_>) -> Option<State> {
    let size = number(Some(&raw.size_mib), "state.size-mib", 1..=STATE_LIMIT, seen);
    let why = why(&raw.why, "state.why", seen);
    Some(State {
        size_mib: u32::try_from(size?).ok()?,
        why: why?,
    })
}

fn devices(raw: &[raw::Device], seen: &mut Examination<'_>) -> Vec<Device> {
    seen.bound(raw, "devices");
    let mut all: Vec<Device> = Vec::new();
    for entry in raw {
        let path = seen.check(&entry.path, "devices.path", |text| {
            once(
                check::device(text)?,
                all.iter().map(|grant| grant.path.clone()),
                text,
            )
        });
        let access = seen.check(&entry.access, "devices.access", |text| {
            match text.as_str() {
                "read" => Ok(DeviceAccess::Read),
                "write" => Ok(DeviceAccess::Write),
                "read-write" => Ok(DeviceAccess::ReadWrite),
                _ => Err("is `read`, `write` or `read-write`".to_owned()),
            }
        });
        let why = why(&entry.why, "devices.why", seen);
        if let (Some(path), Some(access), Some(why)) = (path, access, why) {
            all.push(Device { path, access, why });
        }
    }
    all
}

fn sockets(raw: &[raw::Socket], seen: &mut Examination<'_>) -> Vec<Socket> {
    seen.bound(raw, "sockets");
    let mut all: Vec<Socket> = Vec::new();
    for entry in raw {
        let name = seen.check(&entry.name, "sockets.name", |text| {
            check_name(text)?;
            once(
                text.clone(),
                all.iter().map(|socket| socket.name.clone()),
                text,
            )
        });
        let kind = socket_kind(entry, &all, seen);
        let why = why(&entry.why, "sockets.why", seen);
        if let (Some(name), Some(kind), Some(why)) = (name, kind, why) {
            all.push(Socket { name, kind, why });
        }
    }
    all
}

fn socket_kind(
    raw: &raw::Socket,
    earlier: &[Socket],
    seen: &mut Examination<'_>,
) -> Option<SocketKind> {
    let kind = raw.kind.get_ref().as_str();
    if ["kernel-log", "audit"].contains(&kind) {
        for (value, key) in [(&raw.path, "sockets.path"), (&raw.mode, "sockets.mode")] {
            if let Some(value) = value {
                seen.at(
                    value.span(),
                    key,
                    format!("a socket of the kind `{kind}` has none"),
                );
            }
        }
        return Some(if kind == "audit" {
            SocketKind::Audit
        } else {
            SocketKind::KernelLog
        });
    }
    let make: fn(SocketPlace) -> SocketKind = match kind {
        "stream" => SocketKind::Stream,
        "datagram" => SocketKind::Datagram,
        "sequential" => SocketKind::Sequential,
        _ => {
            seen.at(
                raw.kind.span(),
                "sockets.kind",
                "is `stream`, `datagram`, `sequential`, `kernel-log` or `audit`",
            );
            return None;
        }
    };
    let (Some(path), Some(mode)) = (&raw.path, &raw.mode) else {
        seen.at(
            raw.kind.span(),
            "sockets.kind",
            format!("a socket of the kind `{kind}` has a `path` and a `mode`"),
        );
        return None;
    };
    let path = seen.check(path, "sockets.path", |text| {
        let places = earlier.iter().filter_map(|socket| socket.kind.place());
        once(
            check::socket_path(text)?,
            places.map(|place| place.path.clone()),
            text,
        )
    });
    let mode = seen.check(mode, "sockets.mode", |text| check::socket_mode(text));
    Some(make(SocketPlace {
        path: path?,
        mode: mode?,
    }))
}

fn serves(raw: &[raw::Serves], sockets: &[Socket], seen: &mut Examination<'_>) -> Vec<Serves> {
    seen.bound(raw, "serves");
    let mut all: Vec<Serves> = Vec::new();
    for entry in raw {
        let interface = seen.check(&entry.interface, "serves.interface", |text| {
            check::served_interface(text)?;
            once(
                text.clone(),
                all.iter().map(|serves| serves.interface.clone()),
                text,
            )
        });
        let socket = seen.check(&entry.socket, "serves.socket", |text| {
            let stream = |socket: &Socket| {
                socket.name == **text && matches!(socket.kind, SocketKind::Stream(_))
            };
            if sockets.iter().any(stream) {
                Ok(text.clone())
            } else {
                Err(format!(
                    "`{}` is the name of no stream socket in `sockets`",
                    text.escape_debug()
                ))
            }
        });
        let callers = callers(&entry.callers, seen);
        let why = why(&entry.why, "serves.why", seen);
        if let (Some(interface), Some(socket), Some(why)) = (interface, socket, why) {
            all.push(Serves {
                interface,
                socket,
                callers,
                why,
            });
        }
    }
    all
}

fn callers(raw: &Spanned<Vec<Spanned<String>>>, seen: &mut Examination<'_>) -> Vec<ServiceName> {
    seen.bound(raw.get_ref(), "serves.callers");
    let mut callers: Vec<ServiceName> = Vec::new();
    for caller in raw.get_ref() {
        let caller = seen.check(caller, "serves.callers", |text| {
            once(ServiceName::new(text)?, callers.iter().cloned(), text)
        });
        callers.extend(caller);
    }
    callers
}

fn calls(raw: &[raw::Calls], seen: &mut Examination<'_>) -> Vec<Calls> {
    seen.bound(raw, "calls");
    let mut all: Vec<Calls> = Vec::new();
    for entry in raw {
        let interface = seen.check(&entry.interface, "calls.interface", |text| {
            check::interface(text)?;
            once(
                text.clone(),
                all.iter().map(|calls| calls.interface.clone()),
                text,
            )
        });
        let methods = list(
            &entry.methods,
            "calls.methods",
            "names no method",
            seen,
            |text| check::method(text).map(|()| text.to_owned()),
        );
        let why = why(&entry.why, "calls.why", seen);
        if let (Some(interface), Some(why)) = (interface, why) {
            all.push(Calls {
                interface,
                methods,
                why,
            });
        }
    }
    all
}

/// A list that holds at least one item.
fn list<T>(
    raw: &Spanned<Vec<Spanned<String>>>,
    key: &str,
    empty: &str,
    seen: &mut Examination<'_>,
    mut check: impl FnMut(&str) -> Result<T, String>,
) -> Vec<T> {
    seen.bound(raw.get_ref(), key);
    if raw.get_ref().is_empty() {
        seen.at(raw.span(), key, empty);
    }
    let items = raw.get_ref().iter();
    items
        .filter_map(|item| seen.check(item, key, |text| check(text)))
        .collect()
}

fn capabilities(raw: &[raw::Capability], seen: &mut Examination<'_>) -> Vec<CapabilityGrant> {
    seen.bound(raw, "capabilities");
    let mut all: Vec<CapabilityGrant> = Vec::new();
    for entry in raw {
        let capability = seen.check(&entry.name, "capabilities.name", |text| {
            once(
                Capability::named(text)?,
                all.iter().map(|grant| grant.capability),
                text,
            )
        });
        let why = why(&entry.why, "capabilities.why", seen);
        if let (Some(capability), Some(why)) = (capability, why) {
            all.push(CapabilityGrant { capability, why });
        }
    }
    all
}

fn system_calls(raw: &[raw::SystemCalls], seen: &mut Examination<'_>) -> Vec<SystemCalls> {
    seen.bound(raw, "system-calls");
    let mut items: BTreeSet<String> = BTreeSet::new();
    let mut all: Vec<SystemCalls> = Vec::new();
    for entry in raw {
        let expanded = list(
            &entry.allow,
            "system-calls.allow",
            "names no system call",
            seen,
            |text| {
                let calls = system_call::expand(text)?;
                if !items.insert(text.to_owned()) {
                    return Err(format!("`{text}` is listed twice"));
                }
                Ok((text.to_owned(), calls))
            },
        );
        let why = why(&entry.why, "system-calls.why", seen);
        let (allow, calls): (Vec<_>, Vec<_>) = expanded.into_iter().unzip();
        if let Some(why) = why {
            all.push(SystemCalls {
                allow,
                calls: calls.into_iter().flatten().collect(),
                why,
            });
        }
    }
    if !items.contains(system_call::BASE) {
        seen.whole(
            "system-calls",
            format!(
                "does not allow `{}`, without which no program starts",
                system_call::BASE
            ),
        );
    }
    all
}

fn address_families(raw: &[raw::AddressFamily], seen: &mut Examination<'_>) -> Vec<FamilyGrant> {
    seen.bound(raw, "address-families");
    let mut all: Vec<FamilyGrant> = Vec::new();
    for entry in raw {
        let family = seen.check(&entry.family, "address-families.family", |text| {
            once(
                AddressFamily::named(text)?,
                all.iter().map(|grant| grant.family),
                text,
            )
        });
        let why = why(&entry.why, "address-families.why", seen);
        if let (Some(family), Some(why)) = (family, why) {
            all.push(FamilyGrant { family, why });
        }
    }
    all
}

fn shares(raw: &[raw::Share], seen: &mut Examination<'_>) -> Vec<Share> {
    seen.bound(raw, "shares");
    let mut all: Vec<Share> = Vec::new();
    for entry in raw {
        let namespace = seen.check(&entry.namespace, "shares.namespace", |text| {
            let known = Namespace::ALL.into_iter();
            let Some(namespace) = known.clone().find(|namespace| namespace.as_str() == *text)
            else {
                let known: Vec<&str> = known.map(Namespace::as_str).collect();
                return Err(format!("is one of: {}", known.join(", ")));
            };
            once(namespace, all.iter().map(|share| share.namespace), text)
        });
        let why = why(&entry.why, "shares.why", seen);
        if let (Some(namespace), Some(why)) = (namespace, why) {
            all.push(Share { namespace, why });
        }
    }
    all
}
