//! Telling PID 1 how we are (sd_notify(3)).

use std::env;
use std::os::unix::net::UnixDatagram;

use anyhow::{Context, Result};

/// The way to PID 1, if it asked for one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// When it names a socket that cannot be reached.
    pub fn new() -> Result<Self> {
        let Some(path) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(Self { socket: None });
        };
        let socket = UnixDatagram::unbound().context("cannot make a socket")?;
        socket
            .connect(&path)
            .with_context(|| format!("cannot reach {}", path.display()))?;
        // PID 1 reads when it can; we never wait for it.
        socket
            .set_nonblocking(true)
            .context("cannot prepare the socket")?;
        Ok(Self {
            socket: Some(socket),
        })
    }

    /// Tells; a full queue is no reason to stop, the next message says the same.
    pub fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket
            && let Err(error) = socket.send(message.as_bytes())
        {
            eprintln!("cannot tell PID 1: {error}");
        }
    }
}
