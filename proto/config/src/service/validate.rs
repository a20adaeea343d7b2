//! From the raw structure to [`Service`].

mod grants;

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Limits, Readiness, Resource, ResourceLimit, Restart, RestartWhen, Service, VERSION, check, raw,
};
use crate::name::{ServiceName, Why, check_text};
use crate::problem::{Examination, Problems, Spanned};
use crate::users::User;

/// Variables that PID 1 sets itself, and those that make a dynamic loader or a
/// runtime load something else.
const RESERVED_VARIABLES: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PID",
    "LISTEN_PIDFDID",
];

pub(super) fn service(
    name: ServiceName,
    raw: raw::Service,
    mut seen: Examination<'_>,
) -> Result<Service, Problems> {
    for (list, key) in [(&raw.arguments, "arguments"), (&raw.needs, "needs")] {
        seen.bound(list, key);
    }

    seen.check(&raw.version, "version", |version| {
        (*version == VERSION)
            .then_some(())
            .ok_or_else(|| format!("{version} is not known; this release reads {VERSION}"))
    });
    let description = seen.check(&raw.description, "description", |text| check_text(text));
    let program = seen.check(&raw.program, "program", |text| check::program(text));
    let arguments: Vec<String> = raw
        .arguments
        .iter()
        .filter_map(|argument| seen.check(argument, "arguments", |text| check::argument(text)))
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
    let granted = grants::all(&raw, &mut seen);
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
    let limits = Limits {
        memory_mib: small(
            raw.limits.memory_mib.as_ref(),
            "limits.memory-mib",
            &mut seen,
        ),
        processes: small(raw.limits.processes.as_ref(), "limits.processes", &mut seen),
        cpu_percent: number(
            raw.limits.cpu_percent.as_ref(),
            "limits.cpu-percent",
            1..=10_000,
            &mut seen,
        )
        .and_then(|percent| u32::try_from(percent).ok()),
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
            tty: granted.tty,
            needs,
            readiness: readiness?,
            start_timeout,
            stop_timeout,
            watchdog,
            restart: restart?,
            readable: granted.readable,
            writable: granted.writable,
            state: granted.state,
            runtime: granted.runtime,
            devices: granted.devices,
            sockets: granted.sockets,
            serves: granted.serves,
            calls: granted.calls,
            capabilities: granted.capabilities,
            system_calls: granted.system_calls,
            address_families: granted.address_families,
            shares: granted.shares,
            limits,
            resources,
        })
    })();
    seen.finish(validated)
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
        let value = seen.check(value, "environment", |text| check::argument(text));
        if let (Some(name), Some(value)) = (name, value) {
            environment.insert(name, value);
        }
    }
    environment
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
