//! Receiving what the kernel audits: the netlink socket that its records go to.
//!
//! Only a process in the initial namespaces with `CAP_AUDIT_CONTROL` may register
//! one. Whoever is handed the socket then reads records from it, and can do nothing
//! else with it. This never reads a record itself.
#![forbid(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::net::netlink::{AUDIT, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, SendFlags, SocketFlags, SocketType, bind, sendto, socket_with, sockopt,
};

/// linux/netlink.h and linux/audit.h.
const REQUEST: u16 = 1;
const AUDIT_SET: u16 = 1001;
const HEADER_SIZE: u32 = 16;
const STATUS_SIZE: u32 = 44;
const MASK_ENABLED: u32 = 1;
const MASK_PID: u32 = 4;
const MASK_BACKLOG_LIMIT: u32 = 16;

/// Records that the kernel keeps while nobody takes them.
const BACKLOG_LIMIT: u32 = 8192;

/// Bytes of records that wait on the socket.
const RECEIVE_BUFFER: usize = 4 * 1024 * 1024;

/// Why records cannot be received.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// No such socket: the kernel does not audit, or not for us.
    #[error("cannot open the audit socket")]
    Open(#[source] io::Error),
    /// The kernel does not take the request.
    #[error("cannot ask for audit records")]
    Register(#[source] io::Error),
}

/// Opens a socket for records; non-blocking.
///
/// # Errors
/// When the kernel refuses.
pub fn open() -> Result<OwnedFd, AuditError> {
    let open = || -> rustix::io::Result<OwnedFd> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, Some(AUDIT))?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)?;
        Ok(socket)
    };
    open().map_err(|error| AuditError::Open(error.into()))
}

/// Turns auditing on and has all records sent to the socket, in the name of the
/// calling process, whose number is `process`.
///
/// A socket that is registered already stays so. The kernel says that, and any other
/// refusal, by a `NLMSG_ERROR` message on the socket itself, where whoever reads
/// records finds it among them.
///
/// # Errors
/// When the request cannot be made.
pub fn register(socket: BorrowedFd<'_>, process: u32) -> Result<(), AuditError> {
    let kernel = SocketAddrNetlink::new(0, 0);
    for request in [
        request(MASK_PID, process),
        request(MASK_ENABLED | MASK_BACKLOG_LIMIT, 0),
    ] {
        sendto(socket, &request, SendFlags::DONTWAIT, &kernel)
            .map_err(|error| AuditError::Register(error.into()))?;
    }
    Ok(())
}

/// `struct nlmsghdr` and `struct audit_status`.
fn request(mask: u32, process: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    bytes.extend((HEADER_SIZE + STATUS_SIZE).to_ne_bytes());
    bytes.extend(AUDIT_SET.to_ne_bytes());
    bytes.extend(REQUEST.to_ne_bytes());
    // Sequence and sender: the kernel fills the sender in.
    bytes.extend([0; 8]);
    let failure = 0_u32;
    let rate_limit = 0_u32;
    for field in [mask, 1, failure, process, rate_limit, BACKLOG_LIMIT] {
        bytes.extend(field.to_ne_bytes());
    }
    // What the kernel reports and nobody sets.
    bytes.resize((HEADER_SIZE + STATUS_SIZE) as usize, 0);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_what_the_kernel_takes() {
        let bytes = request(MASK_PID, 7);
        assert_eq!(bytes.len(), 60);
        assert_eq!(bytes[..4], 60_u32.to_ne_bytes());
        assert_eq!(bytes[4..6], 1001_u16.to_ne_bytes());
        assert_eq!(bytes[16..20], 4_u32.to_ne_bytes());
        assert_eq!(bytes[28..32], 7_u32.to_ne_bytes());
    }
}
