//! Handing the lines of services on to the service that keeps the log.
//!
//! That service is `log`, if its definition has a socket `intake` of the kind
//! `sequential`. Each line is one packet of JSON. PID 1 never waits for it: lines for
//! which there is no room are counted, and the count is told with the next one.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use bastide_config::service::{Service, SocketKind};
use bastide_log_format::{intake::Output, name::StreamName};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, send, socket_with,
};

/// The service, and its socket, that lines are for.
pub const SERVICE: &str = "log";
const SOCKET: &str = "intake";

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
    pub fn take(&mut self, service: &str, uid: u32, pid: Option<u32>, line: &str) -> bool {
        if self.dropped > 0 {
            let lost = format!("<4>{} lines of services were dropped", self.dropped);
            match self.send("init", 0, Some(1), &lost) {
                Sent::Taken => self.dropped = 0,
                Sent::NoRoom => {
                    self.dropped = self.dropped.saturating_add(1);
                    return true;
                }
                Sent::Nobody => return false,
            }
        }
        match self.send(service, uid, pid, line) {
            Sent::Taken => true,
            Sent::NoRoom => {
                self.dropped = self.dropped.saturating_add(1);
                true
            }
            Sent::Nobody => false,
        }
    }

    fn send(&mut self, service: &str, uid: u32, pid: Option<u32>, line: &str) -> Sent {
        let Ok(service) = StreamName::new(service) else {
            return Sent::Nobody;
        };
        let output = Output {
            service,
            uid,
            pid,
            line: line.to_owned(),
            cut: false,
        };
        let Ok(packet) = serde_json::to_vec(&output) else {
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

#[cfg(test)]
mod tests {
    use rustix::net::{RecvFlags, accept, bind, listen, recv};

    use super::*;

    #[test]
    fn lines_are_taken_dropped_and_counted() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("intake");
        let mut intake = Intake {
            place: Some(path.clone()),
            ..Intake::default()
        };
        assert!(!intake.take("one", 502, Some(7), "nobody listens yet"));

        let listener = socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("a socket");
        bind(&listener, &SocketAddrUnix::new(&path).expect("short")).expect("bound");
        listen(&listener, 8).expect("listens");
        assert!(intake.take("one", 502, Some(7), "<4>\"quoted\" line"));
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
        assert_eq!(line["uid"], 502);
        assert_eq!(line["line"], "<4>\"quoted\" line");

        // Nobody reads: PID 1 does not wait, and counts.
        let mut sent = 0_u64;
        while intake.dropped == 0 {
            assert!(intake.take("one", 502, Some(7), &"x".repeat(800)));
            sent += 1;
        }
        for _ in 0..9 {
            assert!(intake.take("one", 502, Some(7), "lost too"));
        }
        for _ in 1..sent {
            receive();
        }
        assert!(intake.take("one", 502, Some(7), "there again"));
        assert_eq!(receive()["line"], "<4>10 lines of services were dropped");
        assert_eq!(receive()["line"], "there again");
        drop((connection, listener));
        std::fs::remove_file(&path).expect("removed");
        assert!(!intake.take("one", 502, Some(7), "the log is gone"));
    }
}
