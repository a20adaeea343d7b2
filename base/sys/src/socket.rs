//! Messages of sockets, with who sent them.
//!
//! `rustix` keeps a sender's process as a number that is never 0; but 0 is what the
//! kernel says of a sender in another process namespace than the receiver's, which is
//! every sender to a service in a namespace of its own. `nix` hands descriptors that
//! come along out as bare numbers, which nobody closes.

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

/// Who sent a message, or is at the other end of a socket, as the kernel says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sender {
    /// The process, unless it is in a namespace that we do not see.
    pub pid: Option<u32>,
    /// The user.
    pub uid: u32,
}

/// What came, but for its bytes.
#[derive(Debug, Default)]
pub struct Received {
    /// How many bytes were put into the buffer.
    pub length: usize,
    /// Whether the message was longer.
    pub cut: bool,
    /// Who sent it, if the socket asks for it (`SO_PASSCRED`).
    pub sender: Option<Sender>,
    /// A descriptor that came along. The kernel closes any others.
    pub file: Option<OwnedFd>,
    /// The port of a netlink sender; the kernel's own is 0.
    pub port: Option<u32>,
}

/// Room for credentials and one descriptor, aligned as control messages must be.
#[repr(C, align(8))]
struct Control([u8; 64]);

impl Sender {
    fn new(credentials: &libc::ucred) -> Self {
        Self {
            pid: u32::try_from(credentials.pid).ok().filter(|pid| *pid != 0),
            uid: credentials.uid,
        }
    }
}

/// Takes the next message of a socket, without waiting for one.
///
/// # Errors
/// What recvmsg(2) says; `WouldBlock` when there is none.
pub fn receive(socket: BorrowedFd<'_>, buffer: &mut [u8]) -> io::Result<Received> {
    let mut address = MaybeUninit::<libc::sockaddr_storage>::zeroed();
    let mut control = Control([0; 64]);
    let mut piece = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all-zero bytes are a valid msghdr: null pointers and lengths of 0.
    let mut header: libc::msghdr = unsafe { MaybeUninit::zeroed().assume_init() };
    header.msg_name = address.as_mut_ptr().cast();
    header.msg_namelen = size_of::<libc::sockaddr_storage>() as libc::socklen_t;
    header.msg_iov = &raw mut piece;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len();
    let flags = libc::MSG_DONTWAIT | libc::MSG_CMSG_CLOEXEC;
    // SAFETY: each pointer in the header is to memory of the length beside it, which
    // lives until the end of this function and is borrowed by nothing else.
    let length = unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut header, flags) };
    let Ok(length) = usize::try_from(length) else {
        return Err(io::Error::last_os_error());
    };
    let mut received = Received {
        length: length.min(buffer.len()),
        cut: header.msg_flags & libc::MSG_TRUNC != 0,
        ..Received::default()
    };
    take_control(&header, &mut received);
    // SAFETY: zeroed at first, so any bytes the kernel did not write are initialised.
    let address = unsafe { address.assume_init() };
    let is_whole = header.msg_namelen as usize >= size_of::<libc::sockaddr_nl>();
    if is_whole && libc::c_int::from(address.ss_family) == libc::AF_NETLINK {
        // SAFETY: a sockaddr_storage is at least as large and as strictly aligned as any
        // address; of a sockaddr_nl, every bit pattern is one.
        let netlink = unsafe { ptr::read((&raw const address).cast::<libc::sockaddr_nl>()) };
        received.port = Some(netlink.nl_pid);
    }
    Ok(received)
}

/// Takes credentials and descriptors out of control messages.
fn take_control(header: &libc::msghdr, received: &mut Received) {
    // SAFETY: the header's control buffer is as recvmsg left it; CMSG_FIRSTHDR and
    // CMSG_NXTHDR stay within its length.
    let mut message = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !message.is_null() {
        // SAFETY: not null, so it points to a whole header in the buffer, which is
        // aligned for it.
        let (level, kind, length) = unsafe {
            (
                (*message).cmsg_level,
                (*message).cmsg_type,
                (*message).cmsg_len,
            )
        };
        // SAFETY: the data begins right behind the header.
        let data = unsafe { libc::CMSG_DATA(message) };
        let length = length.saturating_sub(data as usize - message as usize);
        match (level, kind) {
            (libc::SOL_SOCKET, libc::SCM_CREDENTIALS) if length >= size_of::<libc::ucred>() => {
                // SAFETY: the message holds that many bytes; of a ucred, every bit
                // pattern is one.
                let credentials = unsafe { ptr::read_unaligned(data.cast::<libc::ucred>()) };
                received.sender = Some(Sender::new(&credentials));
            }
            (libc::SOL_SOCKET, libc::SCM_RIGHTS) => {
                for index in 0..length / size_of::<libc::c_int>() {
                    // SAFETY: the message holds that many numbers.
                    let number =
                        unsafe { ptr::read_unaligned(data.cast::<libc::c_int>().add(index)) };
                    // SAFETY: the kernel has just made this descriptor for us alone.
                    received.file = Some(unsafe { OwnedFd::from_raw_fd(number) });
                }
            }
            _ => {}
        }
        // SAFETY: as for CMSG_FIRSTHDR.
        message = unsafe { libc::CMSG_NXTHDR(header, message) };
    }
}

/// Who is at the other end of a connected UNIX socket.
///
/// # Errors
/// What getsockopt(2) says.
pub fn peer(socket: BorrowedFd<'_>) -> io::Result<Sender> {
    let mut credentials = libc::ucred {
        pid: 0,
        uid: 0,
        gid: 0,
    };
    let mut length = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointers are to a ucred and to its length.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut credentials).cast(),
            &raw mut length,
        )
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    if length as usize != size_of::<libc::ucred>() {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(Sender::new(&credentials))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;
    use std::os::unix::net::{UnixDatagram, UnixStream};

    #[test]
    fn messages_come_with_their_length() {
        let (here, there) = UnixDatagram::pair().unwrap();
        let mut buffer = [0; 4];
        let error = receive(here.as_fd(), &mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        there.send(b"abcdef").unwrap();
        let received = receive(here.as_fd(), &mut buffer).unwrap();
        assert_eq!((received.length, received.cut), (4, true));
        assert_eq!((received.sender, received.port), (None, None));
        assert_eq!(&buffer, b"abcd");
    }

    #[test]
    fn the_peer_is_the_one_that_the_kernel_names() {
        let (here, _there) = UnixStream::pair().unwrap();
        let peer = peer(here.as_fd()).unwrap();
        assert_eq!(peer.pid, Some(std::process::id()));
        // Reading a socket that is none of UNIX is an error, not a sender.
        let file = std::fs::File::open("/dev/null").unwrap();
        assert!(super::peer(file.as_fd()).is_err());
    }
}
