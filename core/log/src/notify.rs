//! Telling PID 1 how we are (sd_notify(3)).

use std::env;
use std::os::unix::net::UnixDatagram;

use anyhow::{Context, Result};

use crate::descriptors::never_wait;
use crate::settings::SECOND;

/// The way to PID 1, if it asked for one.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// How often it wants to hear that we live, in microseconds.
    watchdog: Option<u64>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET` and `WATCHDOG_USEC`.
    ///
    /// # Errors
    /// When they name a socket that cannot be reached, or no number.
    pub fn new() -> Result<Self> {
        let Some(path) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(Self {
                socket: None,
                watchdog: None,
            });
        };
        let socket = UnixDatagram::unbound().context("cannot make a socket")?;
        socket
            .connect(&path)
            .with_context(|| format!("cannot reach {}", path.display()))?;
        // PID 1 reads when it can; we never wait for it.
        never_wait(&socket).context("cannot prepare the socket")?;
        let watchdog = match env::var("WATCHDOG_USEC") {
            Ok(text) => Some(text.parse::<u64>().context("WATCHDOG_USEC is no number")?),
            Err(_) => None,
        };
        Ok(Self {
            socket: Some(socket),
            // Twice as often as asked for, so that one late message does not matter.
            watchdog: watchdog.map(|span| (span / 2).max(SECOND / 10)),
        })
    }

    /// How often to say `WATCHDOG=1`, in microseconds.
    #[must_use]
    pub fn watchdog(&self) -> Option<u64> {
        self.watchdog
    }

    /// Tells. A full queue is no reason to stop, and nothing to write about: what this
    /// program writes would come back to it.
    pub fn tell(&self, message: &str) {
        if let Some(socket) = &self.socket {
            match socket.send(message.as_bytes()) {
                Ok(_) | Err(_) => {}
            }
        }
    }
}
