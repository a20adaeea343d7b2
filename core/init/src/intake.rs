//! Handing the lines of services on to the service that keeps the log.
//!
//! That service is `log`, if its definition has a socket `intake` of the kind
//! `sequential`. Each line is one packet of JSON. PID 1 never waits for it: a line for
//! which there is no room stays where it is, and whoever wrote it waits.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
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

    /// What becomes writable when there is room again, if it is connected.
    pub fn connection(&self) -> Option<BorrowedFd<'_>> {
        self.socket.as_ref().map(AsFd::as_fd)
    }

    /// Hands a line on, without waiting.
    pub fn send(&mut self, service: &str, uid: u32, pid: Option<u32>, line: &str) -> Sent {
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

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It is on its way.
    Taken,
    /// There is no room now.
    NoRoom,
    /// There is nobody to take it, or not any more.
    Nobody,
}

#[cfg(test)]
mod tests {
    use rustix::net::{RecvFlags, accept, bind, listen, recv};

    use super::*;

    #[test]
    fn lines_are_taken_while_there_is_room() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("intake");
        let mut intake = Intake {
            place: Some(path.clone()),
            ..Intake::default()
        };
        let mut send = |line: &str| intake.send("one", 502, Some(7), line);
        assert_eq!(send("nobody listens yet"), Sent::Nobody);

        let listener = socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .expect("a socket");
        bind(&listener, &SocketAddrUnix::new(&path).expect("short")).expect("bound");
        listen(&listener, 8).expect("listens");
        assert_eq!(send("<4>\"quoted\" line"), Sent::Taken);
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

        // Nobody reads: PID 1 does not wait, and nothing is lost.
        let mut sent = 0_u64;
        while send(&"x".repeat(800)) == Sent::Taken {
            sent += 1;
        }
        assert_eq!(send("waits"), Sent::NoRoom);
        for _ in 0..sent {
            receive();
        }
        assert_eq!(send("waits"), Sent::Taken);
        assert_eq!(receive()["line"], "waits");
        drop((connection, listener));
        std::fs::remove_file(&path).expect("removed");
        assert_eq!(send("the log is gone"), Sent::Nobody);
    }
}
