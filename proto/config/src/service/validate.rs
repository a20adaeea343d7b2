//! From the raw structure to [`Service`].

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use super::{
    Calls, CapabilityGrant, Limits, PROGRAMS, Readiness, Resource, ResourceLimit, Restart,
    RestartWhen, Service, Tty, VERSION, raw,
};
use crate::capability::Capability;
use crate::name::{ServiceName, Why, check_text};
use crate::problem::{Examination, Problems, Spanned};
use crate::users::User;

/// The longest argument or environment value, in bytes.
const ARGUMENT_LIMIT: usize = 4096;

/// Variables that PID 1 sets itself, and those that make a dynamic loader or a
/// runtime load something else.
const RESERVED_VARIABLES: [&str; 5] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_PID",
];

pub(super) fn service(
    name: ServiceName,
    raw: raw::Service,
    mut seen: Examination<'_>,
) -> Result<Service, Problems> {
    refuse_unenforced(&raw, &mut seen);
    for (list, key) in [(&raw.arguments, "arguments"), (&raw.needs, "needs")] {
        seen.bound(list, key);
    }
    seen.bound(&raw.calls, "calls");
    seen.bound(&raw.capabilities, "capabilities");

    seen.check(&raw.version, "version", |version| {
        (*version == VERSION)
            .then_some(())
            .ok_or_else(|| format!("{version} is not known; this release reads {VERSION}"))
    });
    let description = seen.check(&raw.description, "description", |text| check_text(text));
    let program = seen.check(&raw.program, "program", |text| check_program(text));
    let arguments: Vec<String> = raw
        .arguments
        .iter()
        .filter_map(|argument| seen.check(argument, "arguments", |text| check_argument(text)))
        .collect();
    let environment = environment(&raw.environment, &mut seen);
    let user = seen.check(&raw.user, "user", |text| User::named(text));
    let user_why = raw
        .user_why
        .as_ref()
        .and_then(|why| seen.check(why, "user-why", |text| Why::new(text)));
    if user.is_some_and(User::is_root) && raw.user_why.is_none() {
        seen.at(
            raw.user.span(),
            "user",
            "a service that is root says why in `user-why`",
        );
    }
    let tty = raw.tty.as_ref().map(|tty| self::tty(tty, &mut seen));
    let needs = needs(&name, &raw.needs, &mut seen);
    let readiness = seen.check(&raw.readiness, "readiness", |text| match text.as_str() {
        "notify" => Ok(Readiness::Notify),
        "started" => Ok(Readiness::Started),
        _ => Err("is `notify` or `started`".to_owned()),
    });
    let mut seconds = |value: &Option<Spanned<i64>>, key: &str, otherwise: u64| {
        let value = number(value.as_ref(), key, 1..=600, &mut seen);
        Duration::from_secs(value.unwrap_or(otherwise))
    };
    let start_timeout = seconds(&raw.start_timeout_seconds, "start-timeout-seconds", 30);
    let stop_timeout = seconds(&raw.stop_timeout_seconds, "stop-timeout-seconds", 5);
    let watchdog = number(
        raw.watchdog_seconds.as_ref(),
        "watchdog-seconds",
        1..=3600,
        &mut seen,
    )
    .map(Duration::from_secs);
    if watchdog.is_some() && readiness == Some(Readiness::Started) {
        seen.whole(
            "watchdog-seconds",
            "a watchdog needs `readiness = \"notify\"`",
        );
    }
    let restart = restart(raw.restart.as_ref(), &mut seen);
    let calls = calls(&raw.calls, &mut seen);
    let capabilities = capabilities(&raw.capabilities, &mut seen);
    let limits = Limits {
        memory_mib: small(
            raw.limits.memory_mib.as_ref(),
            "limits.memory-mib",
            &mut seen,
        ),
        processes: small(raw.limits.processes.as_ref(), "limits.processes", &mut seen),
    };
    let resources = resources(&raw.resources, &mut seen);

    let validated = (|| {
        Some(Service {
            name,
            description: description?,
            program: program?,
            arguments,
            environment,
            user: user?,
            user_why,
            tty: match tty {
                None => None,
                Some(tty) => Some(tty?),
            },
            needs,
            readiness: readiness?,
            start_timeout,
            stop_timeout,
            watchdog,
            restart: restart?,
            calls,
            capabilities,
            limits,
            resources,
        })
    })();
    seen.finish(validated)
}

fn refuse_unenforced(raw: &raw::Service, seen: &mut Examination<'_>) {
    for (value, key) in [
        (&raw.readable, "readable"),
        (&raw.writable, "writable"),
        (&raw.devices, "devices"),
        (&raw.sockets, "sockets"),
        (&raw.namespaces, "namespaces"),
        (&raw.network, "network"),
        (&raw.system_calls, "system-calls"),
        (&raw.address_families, "address-families"),
    ] {
        if let Some(value) = value {
            seen.at(
                value.span(),
                key,
                "belongs to the service sandbox, which this release does not enforce yet; remove it",
            );
        }
    }
}

fn check_program(text: &str) -> Result<PathBuf, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    match text.strip_prefix(PROGRAMS) {
        Some(file) if !file.is_empty() && file.chars().all(plain) => Ok(PathBuf::from(text)),
        _ => Err(format!("is no file directly in {PROGRAMS}")),
    }
}

fn check_argument(text: &str) -> Result<String, String> {
    if text.len() > ARGUMENT_LIMIT {
        return Err(format!("longer than {ARGUMENT_LIMIT} bytes"));
    }
    if text.contains('\0') {
        return Err("holds a NUL".to_owned());
    }
    Ok(text.to_owned())
}

fn environment(
    raw: &BTreeMap<Spanned<String>, Spanned<String>>,
    seen: &mut Examination<'_>,
) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for (variable, value) in raw {
        let name = seen.check(variable, "environment", |text| {
            let upper = text
                .bytes()
                .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
            if text.is_empty() || !upper {
                return Err("a variable is written in A-Z, 0-9 and _".to_owned());
            }
            if RESERVED_VARIABLES.contains(&text.as_str()) {
                return Err(format!("`{text}` is set by PID 1"));
            }
            if text.starts_with("LD_") || text == "GLIBC_TUNABLES" {
                return Err(format!("`{text}` would change what code is loaded"));
            }
            Ok(text.clone())
        });
        let value = seen.check(value, "environment", |text| check_argument(text));
        if let (Some(name), Some(value)) = (name, value) {
            environment.insert(name, value);
        }
    }
    environment
}

fn tty(raw: &raw::Tty, seen: &mut Examination<'_>) -> Option<Tty> {
    let device = seen.check(&raw.device, "tty.device", |text| {
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
        let named = text.starts_with("tty") || text.starts_with("hvc");
        if plain && named && (4..=15).contains(&text.len()) && text != "tty0" {
            Ok(text.clone())
        } else {
            Err("is the name of one terminal below /dev, for example `ttyS0` or `tty1`".to_owned())
        }
    });
    let why = seen.check(&raw.why, "tty.why", |text| Why::new(text));
    Some(Tty {
        device: device?,
        why: why?,
    })
}

fn needs(
    name: &ServiceName,
    raw: &[Spanned<String>],
    seen: &mut Examination<'_>,
) -> Vec<ServiceName> {
    let mut needs: Vec<ServiceName> = Vec::new();
    for need in raw {
        let checked = seen.check(need, "needs", |text| {
            let need = ServiceName::new(text)?;
            if need == *name {
                return Err("a service cannot need itself".to_owned());
            }
            if needs.contains(&need) {
                return Err(format!("`{need}` is named twice"));
            }
            Ok(need)
        });
        needs.extend(checked);
    }
    needs
}

fn restart(raw: Option<&raw::Restart>, seen: &mut Examination<'_>) -> Option<Restart> {
    let Some(raw) = raw else {
        return Some(Restart {
            when: RestartWhen::OnFailure,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(10),
            limit: 5,
            window: Duration::from_secs(60),
        });
    };
    let when = seen.check(&raw.when, "restart.when", |text| match text.as_str() {
        "always" => Ok(RestartWhen::Always),
        "on-failure" => Ok(RestartWhen::OnFailure),
        "never" => Ok(RestartWhen::Never),
        _ => Err("is `always`, `on-failure` or `never`".to_owned()),
    });
    let first = number(
        raw.first_delay_milliseconds.as_ref(),
        "restart.first-delay-milliseconds",
        10..=60_000,
        seen,
    );
    let longest = number(
        raw.longest_delay_seconds.as_ref(),
        "restart.longest-delay-seconds",
        1..=3600,
        seen,
    );
    let limit = number(raw.limit.as_ref(), "restart.limit", 1..=1000, seen);
    let window = number(
        raw.window_seconds.as_ref(),
        "restart.window-seconds",
        1..=86_400,
        seen,
    );
    let first_delay = Duration::from_millis(first.unwrap_or(100));
    let longest_delay = Duration::from_secs(longest.unwrap_or(10));
    if first_delay > longest_delay {
        seen.at(
            raw.when.span(),
            "restart.first-delay-milliseconds",
            "longer than `longest-delay-seconds`",
        );
    }
    Some(Restart {
        when: when?,
        first_delay,
        longest_delay,
        limit: u32::try_from(limit.unwrap_or(5)).unwrap_or(u32::MAX),
        window: Duration::from_secs(window.unwrap_or(60)),
    })
}

fn calls(raw: &[raw::Calls], seen: &mut Examination<'_>) -> Vec<Calls> {
    let mut all: Vec<Calls> = Vec::new();
    for entry in raw {
        let interface = seen.check(&entry.interface, "calls.interface", |text| {
            check_interface(text)?;
            if all.iter().any(|calls| calls.interface == **text) {
                return Err(format!("`{text}` is listed twice"));
            }
            Ok(text.clone())
        });
        seen.bound(entry.methods.get_ref(), "calls.methods");
        if entry.methods.get_ref().is_empty() {
            seen.at(entry.methods.span(), "calls.methods", "names no method");
        }
        let methods = entry
            .methods
            .get_ref()
            .iter()
            .filter_map(|method| {
                seen.check(method, "calls.methods", |text| {
                    check_method(text).map(|()| text.clone())
                })
            })
            .collect();
        let why = seen.check(&entry.why, "calls.why", |text| Why::new(text));
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

fn check_interface(text: &str) -> Result<(), String> {
    let part = |part: &str| {
        part.starts_with(|first: char| first.is_ascii_alphabetic())
            && part
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    if text.len() <= 128 && text.contains('.') && text.split('.').all(part) {
        Ok(())
    } else {
        Err("is a Varlink interface name, for example `org.bastide.Init`".to_owned())
    }
}

fn check_method(text: &str) -> Result<(), String> {
    let upper = text.starts_with(|first: char| first.is_ascii_uppercase());
    if upper && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err("is a Varlink method name without its interface, for example `GetStatus`".to_owned())
    }
}

fn capabilities(raw: &[raw::Capability], seen: &mut Examination<'_>) -> Vec<CapabilityGrant> {
    let mut all: Vec<CapabilityGrant> = Vec::new();
    for entry in raw {
        let capability = seen.check(&entry.name, "capabilities.name", |text| {
            let capability = Capability::named(text)?;
            if all.iter().any(|grant| grant.capability == capability) {
                return Err(format!("`{text}` is listed twice"));
            }
            Ok(capability)
        });
        let why = seen.check(&entry.why, "capabilities.why", |text| Why::new(text));
        if let (Some(capability), Some(why)) = (capability, why) {
            all.push(CapabilityGrant { capability, why });
        }
    }
    all
}

fn resources(raw: &raw::Resources, seen: &mut Examination<'_>) -> Vec<ResourceLimit> {
    const LARGEST: u64 = 1 << 40;
    [
        (
            &raw.open_files,
            Resource::OpenFiles,
            "resources.open-files",
            3..=1_048_576,
        ),
        (
            &raw.file_size_bytes,
            Resource::FileSize,
            "resources.file-size-bytes",
            0..=LARGEST,
        ),
        (
            &raw.address_space_bytes,
            Resource::AddressSpace,
            "resources.address-space-bytes",
            1 << 20..=LARGEST,
        ),
        (
            &raw.locked_memory_bytes,
            Resource::LockedMemory,
            "resources.locked-memory-bytes",
            0..=LARGEST,
        ),
    ]
    .into_iter()
    .filter_map(|(value, resource, key, range)| {
        let value = number(value.as_ref(), key, range, seen)?;
        Some(ResourceLimit { resource, value })
    })
    .collect()
}

fn small(value: Option<&Spanned<i64>>, key: &str, seen: &mut Examination<'_>) -> Option<u32> {
    number(value, key, 1..=u64::from(u32::MAX), seen).and_then(|value| u32::try_from(value).ok())
}

/// A number within its range, or nothing when absent or refused.
fn number(
    value: Option<&Spanned<i64>>,
    key: &str,
    range: std::ops::RangeInclusive<u64>,
    seen: &mut Examination<'_>,
) -> Option<u64> {
    seen.check(value?, key, |value| {
        u64::try_from(*value)
            .ok()
            .filter(|value| range.contains(value))
            .ok_or_else(|| format!("{value} is not within {} to {}", range.start(), range.end()))
    })
}
