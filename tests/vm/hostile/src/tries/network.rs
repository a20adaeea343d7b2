//! Reaching out.

use std::net::{TcpListener, TcpStream};

use anyhow::Result;
use rustix::net::{AddressFamily, SocketType, socket};

/// A socket of the Internet family.
pub fn internet_socket() -> Result<()> {
    of_family(AddressFamily::INET, SocketType::DGRAM)
}

/// A connection over loopback, to itself.
pub fn internet_connect() -> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    TcpStream::connect(listener.local_addr()?)?;
    Ok(())
}

fn of_family(family: AddressFamily, kind: SocketType) -> Result<()> {
    socket(family, kind, None)?;
    Ok(())
}

/// Raw packets.
pub fn packet_socket() -> Result<()> {
    of_family(AddressFamily::PACKET, SocketType::RAW)
}

/// The kernel's own configuration protocol.
pub fn netlink_socket() -> Result<()> {
    of_family(AddressFamily::NETLINK, SocketType::RAW)
}

/// The way to the hypervisor.
pub fn vsock_socket() -> Result<()> {
    of_family(AddressFamily::VSOCK, SocketType::STREAM)
}
