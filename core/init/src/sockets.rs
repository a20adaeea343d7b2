//! The sockets that PID 1 makes for services.
//!
//! They are made before any service starts and kept while services come and go: what
//! is sent to a service that is not there yet, or again, waits for it.

use std::collections::BTreeMap;
use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use anyhow::{Context, Result, anyhow};
use bastide_config::name::ServiceName;
use bastide_config::service::{LOG_SOCKETS, SYSLOG_LINK, Service, Socket, SocketKind, SocketPlace};
use rustix::fs::{AtFlags, CWD, Gid, OFlags, Uid, chownat};
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{
    AddressFamily, SocketAddrUnix, SocketFlags, SocketType, bind, listen, socket_with,
};

use crate::kernel_log::say;
use crate::supervisor::Level;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 128;

/// The kernel's log.
const KERNEL_LOG: &str = "/dev/kmsg";

/// All sockets, by service; for one that cannot be made, why.
#[derive(Debug, Default)]
pub struct Sockets {
    made: BTreeMap<ServiceName, Vec<Made>>,
}

#[derive(Debug)]
struct Made {
    audit: bool,
    socket: Result<OwnedFd, String>,
}

impl Sockets {
    /// Makes the sockets of services. One that cannot be made keeps its service from
    /// starting and no other.
    pub fn make<'services>(services: impl IntoIterator<Item = &'services Service>) -> Self {
        let mut made = BTreeMap::new();
        for service in services {
            let sockets = service.sockets.iter().map(|socket| Made {
                audit: socket.kind == SocketKind::Audit,
                socket: make(socket, service.user.uid())
                    .with_context(|| format!("cannot make the socket {}", socket.name))
                    .map_err(|error| format!("{error:#}")),
            });
            made.insert(service.name.clone(), sockets.collect());
        }
        link_syslog();
        Self { made }
    }

    /// The sockets of a service, in the order of its definition.
    ///
    /// # Errors
    /// The first one that could not be made.
    pub fn of(&self, service: &ServiceName) -> Result<Vec<BorrowedFd<'_>>> {
        let made = self.made.get(service).map_or(&[][..], Vec::as_slice);
        made.iter()
            .map(|made| match &made.socket {
                Ok(socket) => {
                    if made.audit
                        && let Err(error) = bastide_audit::register(socket.as_fd(), 1)
                    {
                        let error = anyhow::Error::from(error);
                        say(Level::Warning, &format!("{error:#}"));
                    }
                    Ok(socket.as_fd())
                }
                Err(error) => Err(anyhow!("{error}")),
            })
            .collect()
    }
}

/// Puts the log where syslog(3) looks for it, if there is one.
fn link_syslog() {
    let [syslog, _] = LOG_SOCKETS;
    if !Path::new(syslog).exists() {
        return;
    }
    match symlink(syslog, SYSLOG_LINK) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => say(
            Level::Warning,
            &format!("cannot make {SYSLOG_LINK}: {error}"),
        ),
    }
}

fn make(socket: &Socket, uid: u32) -> Result<OwnedFd> {
    match &socket.kind {
        SocketKind::Stream(place) => unix(SocketType::STREAM, place, uid),
        SocketKind::Datagram(place) => unix(SocketType::DGRAM, place, uid),
        SocketKind::Sequential(place) => unix(SocketType::SEQPACKET, place, uid),
        SocketKind::KernelLog => {
            let flags = i32::try_from(OFlags::NONBLOCK.bits())?;
            let log = File::options()
                .read(true)
                .custom_flags(flags)
                .open(KERNEL_LOG)
                .with_context(|| format!("cannot open {KERNEL_LOG}"))?;
            Ok(log.into())
        }
        SocketKind::Audit => Ok(bastide_audit::open()?),
    }
}

fn unix(kind: SocketType, place: &SocketPlace, uid: u32) -> Result<OwnedFd> {
    let path = &place.path;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    }
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::UNIX, kind, flags, None)?;
    bind(&socket, &SocketAddrUnix::new(path)?)
        .with_context(|| format!("cannot make {}", path.display()))?;
    if kind == SocketType::DGRAM {
        // From the first message on, not from when the service asks for it.
        set_socket_passcred(&socket, true)?;
    } else {
        listen(&socket, BACKLOG)?;
    }
    give_away(path, place.mode, uid)?;
    Ok(socket)
}

fn give_away(path: &Path, mode: u16, uid: u32) -> Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode.into()))
        .with_context(|| format!("cannot set the mode of {}", path.display()))?;
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(uid));
    chownat(
        CWD,
        path,
        Some(user),
        Some(group),
        AtFlags::SYMLINK_NOFOLLOW,
    )
    .with_context(|| format!("cannot give {} away", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::{UnixDatagram, UnixStream};

    use super::*;

    /// A place below a folder of the test's own, for whoever runs it.
    fn place(folder: &Path, name: &str) -> SocketPlace {
        SocketPlace {
            path: folder.join("made/below").join(name),
            mode: 0o620,
        }
    }

    #[test]
    fn sockets_wait_for_their_service() {
        let folder = tempfile::tempdir().expect("a folder");
        let uid = rustix::process::getuid().as_raw();
        let stream = place(folder.path(), "stream");
        let _stream = unix(SocketType::STREAM, &stream, uid).expect("made");
        UnixStream::connect(&stream.path).expect("waits to be accepted");
        let mode = fs::metadata(&stream.path)
            .expect("there")
            .permissions()
            .mode();
        assert_eq!(mode & 0o7777, 0o620);

        let datagram = place(folder.path(), "datagram");
        let socket = unix(SocketType::DGRAM, &datagram, uid).expect("made");
        let client = UnixDatagram::unbound().expect("a socket");
        client.send_to(b"line", &datagram.path).expect("sent");
        let mut bytes = [0; 8];
        let count = UnixDatagram::from(socket)
            .recv(&mut bytes)
            .expect("received");
        assert_eq!(&bytes[..count], b"line");

        let again = unix(SocketType::STREAM, &stream, uid).expect_err("taken");
        assert!(format!("{again:#}").contains("stream"), "{again:#}");
    }
}
