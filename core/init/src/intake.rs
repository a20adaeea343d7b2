//! Handing the lines of services on to the service that keeps the log.
//!
//! That service is `log`, if its definition has a socket `intake` of the kind
//! `sequential`. Each line is one packet of JSON. PID 1 never waits for it: lines for
//! which there is no room are counted, and the count is told with the next one.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use bastide_config::service::{Service, SocketKind};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;

use crate::supervisor::Level;

/// The service, and its socket, that lines are for.
pub const SERVICE: &str = "log";
const SOCKET: &str = "intake";

/// One line as the log takes it.
#[derive(Debug, Serialize)]
struct Line<'line> {
    /// The service that wrote it.
    service: &'line str,
    /// Its main process, in PID 1's numbers; 0 when it is gone.
    pid: u32,
    /// syslog's number, 0 (the world ends) to 7 (of interest to developers only).
    priority: u8,
    /// The line itself.
    message: &'line str,
    /// When PID 1 read it, in microseconds of `CLOCK_BOOTTIME`.
    boottime_us: u64,
}

/// The way to the log.
#[derive(Debug, Default)]
pub struct Intake {
    place: Option<PathBuf>,
    socket: Option<OwnedFd>,
    dropped: u64,
}

impl Intake {
    /// Looks for the service that takes lines.
    pub fn find<'services>(services: impl IntoIterator<Item = &'services Service>) -> Self {
        let mut services = services.into_iter();
        let log = services.find(|service| service.name.as_str() == SERVICE);
        let place = log
            .and_then(|log| log.socket(SOCKET))
            .and_then(|socket| match &socket.kind {
                SocketKind::Sequential(place) => Some(place.path.clone()),
                _ => None,
            });
        Self {
            place,
            ..Self::default()
        }
    }

    /// Hands a line on. `false`: there is nobody to take it, or not any more.
    pub fn take(&mut self, service: &str, pid: u32, line: &str) -> bool {
        if self.dropped > 0 {
            let lost = format!("{} lines of services were dropped", self.dropped);
            match self.send("init", 1, Level::Warning as u8, &lost) {
                Sent::Taken => self.dropped = 0,
                Sent::NoRoom => {
                    self.dropped = self.dropped.saturating_add(1);
                    return true;
                }
                Sent::Nobody => return false,
            }
        }
        let (priority, message) = priority(line);
        match self.send(service, pid, priority, message) {
            Sent::Taken => true,
            Sent::NoRoom => {
                self.dropped = self.dropped.saturating_add(1);
                true
            }
            Sent::Nobody => false,
        }
    }

    fn send(&mut self, service: &str, pid: u32, priority: u8, message: &str) -> Sent {
        let line = Line {
            service,
            pid,
            priority,
            message,
            boottime_us: boot_time(),
        };
        let Ok(packet) = serde_json::to_vec(&line) else {
            return Sent::Nobody;
        };
        // A connection of the service's last run tells so once; then a new one is tried.
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = self.connect();
            }
            let Some(socket) = &self.socket else {
                return Sent::Nobody;
            };
            match send(socket, &packet, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(_) => return Sent::Taken,
                Err(Errno::AGAIN) => return Sent::NoRoom,
                Err(_) => self.socket = None,
            }
        }
        Sent::Nobody
    }

    fn connect(&self) -> Option<OwnedFd> {
        let place = SocketAddrUnix::new(self.place.as_ref()?).ok()?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).ok()?;
        connect(&socket, &place).ok()?;
        Some(socket)
    }
}

enum Sent {
    Taken,
    NoRoom,
    Nobody,
}

/// A line may say how much it matters, as in sd-daemon(3): `<3>it is broken`.
fn priority(line: &str) -> (u8, &str) {
    match line.as_bytes() {
        [b'<', digit @ b'0'..=b'7', b'>', ..] => (digit - b'0', line.get(3..).unwrap_or_default()),
        _ => (Level::Info as u8, line),
    }
}

fn boot_time() -> u64 {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanoseconds / 1000)
}

#[cfg(test)]
mod tests {
    use rustix::net::{RecvFlags, accept, bind, listen, recv};

    use super::*;

    #[test]
    fn lines_say_how_much_they_matter() {
        assert_eq!(priority("<3>broken"), (3, "broken"));
        for plain in ["plain", "<8>no", "<3 no", "", "<é"] {
            assert_eq!(priority(plain), (6, plain));
        }
    }

    #[test]
    fn lines_are_taken_dropped_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("intake");
        let mut intake = Intake {
            place: Some(path.clone()),
            ..Intake::default()
        };
        assert!(!intake.take("one", 7, "nobody listens yet"));

        let listener = socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("a socket");
        bind(&listener, &SocketAddrUnix::new(&path).expect("short")).expect("bound");
        listen(&listener, 8).expect("listens");
        assert!(intake.take("one", 7, "<4>\"quoted\" line"));
        let connection = accept(&listener).expect("connected");
        let mut bytes = [0; 4096];
        let mut receive = || {
            let (count, _) =
                recv(&connection, &mut bytes[..], RecvFlags::empty()).expect("received");
            serde_json::from_slice::<serde_json::Value>(&bytes[..count]).expect("JSON")
        };
        let line = receive();
        assert_eq!(line["service"], "one");
        assert_eq!(line["pid"], 7);
        assert_eq!(line["priority"], 4);
        assert_eq!(line["message"], "\"quoted\" line");
        assert!(line["boottime_us"].as_u64().is_some_and(|time| time > 0));

        // Nobody reads: PID 1 does not wait, and counts.
        let mut sent = 0_u64;
        while intake.dropped == 0 {
            assert!(intake.take("one", 7, &"x".repeat(800)));
            sent += 1;
        }
        for _ in 0..9 {
            assert!(intake.take("one", 7, "lost too"));
        }
        for _ in 1..sent {
            receive();
        }
        assert!(intake.take("one", 7, "there again"));
        assert_eq!(receive()["message"], "10 lines of services were dropped");
        assert_eq!(receive()["message"], "there again");
        drop((connection, listener));
        std::fs::remove_file(&path).expect("removed");
        assert!(!intake.take("one", 7, "the log is gone"));
    }
}
