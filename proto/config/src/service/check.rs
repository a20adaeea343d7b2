//! What a single value of a definition may look like.

use std::path::PathBuf;

use super::PROGRAMS;

/// PID 1's own interface, which no service may serve.
pub(super) const INIT_INTERFACE: &str = "org.bastide.Init";

/// What every connection is asked about by varlink(7) itself.
const STANDARD_INTERFACE: &str = "org.varlink.service";

/// The longest argument or environment value, in bytes.
const ARGUMENT_LIMIT: usize = 4096;

/// The longest path of a definition, in bytes.
const PATH_LIMIT: usize = 200;

/// The longest path of a UNIX socket, in bytes (`sun_path` of unix(7), the NUL left out).
const SOCKET_PATH_LIMIT: usize = 107;

/// Where PID 1's sockets and those of Varlink interfaces lie.
const SOCKETS: &str = "/run/bastide";

/// The directory below it with the sockets on which PID 1 hears how services are.
const NOTIFICATIONS: &str = "notify";

/// Devices that every service has.
pub const USUAL_DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

pub(super) fn program(text: &str) -> Result<PathBuf, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '-';
    match text.strip_prefix(PROGRAMS) {
        Some(file) if !file.is_empty() && file.chars().all(plain) => Ok(PathBuf::from(text)),
        _ => Err(format!("is no file directly in {PROGRAMS}")),
    }
}

pub(super) fn argument(text: &str) -> Result<String, String> {
    if text.len() > ARGUMENT_LIMIT {
        return Err(format!("longer than {ARGUMENT_LIMIT} bytes"));
    }
    if text.contains('\0') {
        return Err("holds a NUL".to_owned());
    }
    Ok(text.to_owned())
}

pub(super) fn terminal(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let named = text.starts_with("tty") || text.starts_with("hvc");
    if plain && named && (4..=15).contains(&text.len()) && text != "tty0" {
        Ok(text.to_owned())
    } else {
        Err("is the name of one terminal below /dev, for example `ttyS0` or `tty1`".to_owned())
    }
}

pub(super) fn interface(text: &str) -> Result<(), String> {
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

pub(super) fn served_interface(text: &str) -> Result<(), String> {
    if [INIT_INTERFACE, STANDARD_INTERFACE].contains(&text) {
        return Err(format!("`{text}` is not a service's to serve"));
    }
    interface(text)
}

pub(super) fn method(text: &str) -> Result<(), String> {
    let upper = text.starts_with(|first: char| first.is_ascii_uppercase());
    if upper && text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        Ok(())
    } else {
        Err("is a Varlink method name without its interface, for example `GetStatus`".to_owned())
    }
}

/// A path without any room for interpretation, below one of the places.
fn path_below(text: &str, places: &[&str]) -> Result<PathBuf, String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.:@+/".contains(letter);
    let parts = |part: &str| !part.is_empty() && part != "." && part != "..";
    let shape = text
        .strip_prefix('/')
        .is_some_and(|rest| rest.split('/').all(parts));
    if !shape || !text.chars().all(plain) || text.len() > PATH_LIMIT {
        return Err(format!(
            "`{}` is no plain absolute path: no `.`, `..`, blank or final `/`",
            text.escape_debug()
        ));
    }
    let below = |place: &&str| text.starts_with(*place) && text.len() > place.len();
    if !places.iter().any(below) {
        return Err(format!("`{text}` is not below {}", places.join(", ")));
    }
    Ok(PathBuf::from(text))
}

pub(super) fn readable(text: &str) -> Result<PathBuf, String> {
    let path = path_below(text, &["/usr/", "/etc/", "/run/", "/sys/"])?;
    refuse_sockets(text)?;
    Ok(path)
}

pub(super) fn writable(text: &str) -> Result<PathBuf, String> {
    let path = path_below(text, &["/run/", "/var/"])?;
    refuse_sockets(text)?;
    if text == "/var/lib" || text.starts_with("/var/lib/") {
        return Err("what a service keeps across boots is asked for with `[state]`".to_owned());
    }
    Ok(path)
}

/// Whoever sees a socket can connect to it, read-only or not: those of interfaces
/// are granted by `calls`, and PID 1 hands out its own.
fn refuse_sockets(text: &str) -> Result<(), String> {
    let inside = text.strip_prefix(SOCKETS);
    let interface = |rest: &str| {
        let name = rest.trim_start_matches('/');
        let reserved = NOTIFICATIONS == name || name.starts_with("org.");
        rest.is_empty() || rest.starts_with('/') && (reserved || is_notification(text))
    };
    if inside.is_some_and(interface) {
        return Err("holds sockets, which are asked for with `calls`".to_owned());
    }
    Ok(())
}

/// Whether it lies where each service has its socket to PID 1.
fn is_notification(text: &str) -> bool {
    text.starts_with(&format!("{SOCKETS}/{NOTIFICATIONS}/"))
}

pub(super) fn device(text: &str) -> Result<PathBuf, String> {
    let path = path_below(text, &["/dev/"])?;
    let usual = USUAL_DEVICES
        .iter()
        .any(|usual| text == format!("/dev/{usual}"));
    if usual {
        return Err("every service has it".to_owned());
    }
    Ok(path)
}

pub(super) fn socket_path(text: &str) -> Result<PathBuf, String> {
    // syslog(3) knows no other place.
    if text == "/dev/log" {
        return Ok(PathBuf::from(text));
    }
    let path = path_below(text, &["/run/"])?;
    if text.len() > SOCKET_PATH_LIMIT {
        return Err(format!("longer than {SOCKET_PATH_LIMIT} bytes"));
    }
    let own = format!("{SOCKETS}/{INIT_INTERFACE}");
    let notifications = format!("{SOCKETS}/{NOTIFICATIONS}");
    if text == own || text == notifications || is_notification(text) {
        return Err("is a socket of PID 1 itself".to_owned());
    }
    Ok(path)
}

pub(super) fn socket_mode(text: &str) -> Result<u16, String> {
    let digits = text.len() == 4 && text.bytes().all(|byte| b"0246".contains(&byte));
    match u16::from_str_radix(text, 8) {
        Ok(mode) if digits && mode <= 0o666 => Ok(mode),
        _ => Err("is four octal digits without execution, for example `0660`".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_leave_nothing_to_interpretation() {
        for good in [
            "/etc/hosts",
            "/sys/class/tpm/tpm0",
            "/run/bastide/boot.json",
        ] {
            assert!(readable(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/",
            "/etc",
            "/etc/",
            "etc/x",
            "/etc//x",
            "/etc/../root",
            "/etc/./x",
            "/etc/x/",
            "/proc/kcore",
            "/dev/sda",
            "/home/x",
            "/etcetera/x",
            "/etc/a b",
            "/etc/é",
            "/run/bastide",
            "/run/bastide/notify",
            "/run/bastide/notify/log",
            "/run/bastide/org.bastide.Init",
        ] {
            assert!(readable(bad).is_err(), "{bad}");
        }
        assert!(writable("/var/cache/x").is_ok());
        for bad in [
            "/var/lib",
            "/var/lib/log",
            "/usr/lib/x",
            "/sys/power/state",
            "/run/bastide",
        ] {
            assert!(writable(bad).is_err(), "{bad}");
        }
        assert!(device("/dev/tpmrm0").is_ok());
        assert!(device("/dev/null").is_err());
        assert!(device("/dev").is_err());
    }

    #[test]
    fn sockets_have_places_and_modes() {
        for good in [
            "/dev/log",
            "/run/systemd/journal/socket",
            "/run/bastide/org.bastide.Log",
        ] {
            assert!(socket_path(good).is_ok(), "{good}");
        }
        let long = format!("/run/{}", "x".repeat(103));
        for bad in [
            "/dev/null",
            "/tmp/x",
            "/run/bastide/notify",
            "/run/bastide/notify/log",
            "/run/bastide/org.bastide.Init",
            &long,
        ] {
            assert!(socket_path(bad).is_err(), "{bad}");
        }
        assert_eq!(socket_mode("0660"), Ok(0o660));
        for bad in ["660", "0777", "1666", "0o66", "-066", "4666", "2666", ""] {
            assert!(socket_mode(bad).is_err(), "{bad}");
        }
    }
}
