//! The sockets on which services say that they are ready (sd_notify(3)).
//!
//! Each service has one of its own: what one of them sends without end takes nobody
//! else's room or turn.

use std::fs::{self, Permissions};
use std::io::{self, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixDatagram;
use std::path::Path;

use anyhow::{Context, Result};
use rustix::cmsg_space;
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, recvmsg};

use crate::kernel_log::one_line;
use crate::supervisor::Notification;

/// The longest message read, in bytes; sd_notify's own are far shorter.
const LONGEST: usize = 4096;

/// The longest status kept, in bytes.
const LONGEST_STATUS: usize = 200;

/// Who sent a message, by the kernel's word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sender {
    /// The process, in our numbers.
    pub pid: u32,
    /// Its user.
    pub uid: u32,
}

/// The socket.
#[derive(Debug)]
pub struct NotifySocket {
    socket: UnixDatagram,
}

impl NotifySocket {
    /// Makes the socket of a service, whose user alone may write to it; what counts is
    /// the sender that the kernel names.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn bind(path: &Path, uid: u32) -> Result<Self> {
        let bind = || -> io::Result<UnixDatagram> {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            let socket = UnixDatagram::bind(path)?;
            socket.set_nonblocking(true)?;
            set_socket_passcred(&socket, true)?;
            fs::set_permissions(path, Permissions::from_mode(0o600))?;
            chown(path, Some(uid), Some(uid))?;
            Ok(socket)
        };
        let socket = bind().with_context(|| format!("cannot listen on {}", path.display()))?;
        Ok(Self { socket })
    }

    /// The next message and who sent it; `None` when there is none left. A message
    /// that is too long or of nobody known is skipped as empty.
    ///
    /// The kernel gives the sender's number as it is in our namespace, whichever the
    /// sender lives in.
    ///
    /// # Errors
    /// When the socket is of no more use.
    pub fn receive(&self) -> io::Result<Option<(Sender, Notification)>> {
        let mut bytes = [0; LONGEST];
        let mut space = [MaybeUninit::uninit(); cmsg_space!(ScmCredentials(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        // Descriptors that come along find no room and are closed by the kernel.
        let flags = RecvFlags::CMSG_CLOEXEC | RecvFlags::DONTWAIT;
        let received = match recvmsg(
            &self.socket,
            &mut [IoSliceMut::new(&mut bytes)],
            &mut control,
            flags,
        ) {
            Ok(received) => received,
            Err(error) if error == rustix::io::Errno::AGAIN => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let sender = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmCredentials(credentials) => {
                let pid = u32::try_from(credentials.pid.as_raw_nonzero().get()).ok()?;
                let uid = credentials.uid.as_raw();
                Some(Sender { pid, uid })
            }
            _ => None,
        });
        let whole = !received.flags.contains(ReturnFlags::TRUNC);
        let text = bytes.get(..received.bytes).unwrap_or_default();
        Ok(Some(match sender {
            Some(sender) if whole => (sender, parse(text)),
            _ => (Sender::default(), Notification::default()),
        }))
    }
}

impl AsFd for NotifySocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// Reads a message: lines of `NAME=value`; unknown ones are none of ours.
fn parse(bytes: &[u8]) -> Notification {
    let mut notification = Notification::default();
    for line in String::from_utf8_lossy(bytes).split('\n') {
        match line.split_once('=') {
            Some(("READY", "1")) => notification.ready = true,
            Some(("STOPPING", "1")) => notification.stopping = true,
            Some(("WATCHDOG", "1")) => notification.watchdog = true,
            Some(("STATUS", status)) => {
                let mut status = one_line(status);
                while status.len() > LONGEST_STATUS {
                    status.pop();
                }
                notification.status = Some(status);
            }
            _ => {}
        }
    }
    notification
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_and_the_unknown_passed_over() {
        let notification = parse(b"READY=1\nSTATUS=two\x1b[2J words\nMAINPID=1\nFDSTORE=1\n");
        assert!(notification.ready && !notification.stopping && !notification.watchdog);
        assert_eq!(notification.status.as_deref(), Some("two [2J words"));
        assert_eq!(parse(b"READY=0\nWATCHDOG=trigger"), Notification::default());
        assert!(parse(b"WATCHDOG=1").watchdog);
        assert!(parse(b"STOPPING=1\xff\nSTOPPING=1").stopping);
    }

    #[test]
    fn any_bytes_are_survived() {
        for bytes in [&b""[..], b"\0\0\0", b"=", b"\n\n=\n", &[0xff; 4096]] {
            parse(bytes);
        }
        let long = format!("STATUS={}", "é".repeat(4000));
        assert!(parse(long.as_bytes()).status.expect("kept").len() <= LONGEST_STATUS);
    }

    #[test]
    fn the_sender_is_the_one_that_the_kernel_names() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let uid = rustix::process::getuid().as_raw();
        let socket = NotifySocket::bind(&path, uid).expect("bound");
        assert_eq!(socket.receive().expect("works"), None);
        let client = UnixDatagram::unbound().expect("a socket");
        client.send_to(b"READY=1", &path).expect("sent");
        client.send_to(&[b'x'; LONGEST + 1], &path).expect("sent");
        let (sender, notification) = socket.receive().expect("works").expect("a message");
        assert_eq!((sender.pid, sender.uid), (std::process::id(), uid));
        assert!(notification.ready);
        let (sender, notification) = socket.receive().expect("works").expect("a message");
        assert_eq!(
            (sender, notification),
            (Sender::default(), Notification::default())
        );
        assert_eq!(socket.receive().expect("works"), None);
    }
}
