//! Telling PID 1 how we are (sd_notify(3)).

use std::env;
use std::os::unix::net::UnixDatagram;

use anyhow::{Context, Result};

/// The way to PID 1, if it asked for one.
#[derive(Debug, Default)]
pub struct Notifier {
    socket: Option<UnixDatagram>,
    /// That we are ready, until it was taken.
    ready: Option<String>,
}

impl Notifier {
    /// Reads `NOTIFY_SOCKET`.
    ///
    /// # Errors
    /// When it names a socket that cannot be reached.
    pub fn new() -> Result<Self> {
        let Some(path) = env::var_os("NOTIFY_SOCKET") else {
            return Ok(Self::default());
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
            ready: None,
        })
    }

    /// Says that we are ready; where it is not taken, it goes before the next message,
    /// and that again, until it is.
    pub fn ready(&mut self, message: &str) {
        if !self.send(message) {
            self.ready = Some(message.to_owned());
        }
    }

    /// Tells; a full queue is no reason to stop, the next message says the same.
    pub fn tell(&mut self, message: &str) {
        if let Some(ready) = self.ready.take() {
            self.ready(&ready);
        }
        self.send(message);
    }

    /// Whether it was taken, or there is nobody to take it.
    fn send(&self, message: &str) -> bool {
        let Some(socket) = &self.socket else {
            return true;
        };
        match socket.send(message.as_bytes()) {
            Ok(_) => true,
            Err(error) => {
                eprintln!("cannot tell PID 1: {error}");
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn that_it_is_ready_is_said_until_it_is_taken() {
        let (socket, theirs) = UnixDatagram::pair().expect("sockets");
        for socket in [&socket, &theirs] {
            socket.set_nonblocking(true).expect("set");
        }
        while socket.send(b"in the way").is_ok() {}
        let mut notifier = Notifier {
            socket: Some(socket),
            ready: None,
        };
        notifier.ready("READY=1");
        notifier.tell("WATCHDOG=1");
        let mut taken = [0; 16];
        let mut drain = || {
            let mut last = Vec::new();
            while let Ok(length) = theirs.recv(&mut taken) {
                last.push(String::from_utf8_lossy(&taken[..length]).into_owned());
            }
            last
        };
        assert!(drain().iter().all(|message| message == "in the way"));
        for expected in [&["READY=1", "WATCHDOG=1"][..], &["WATCHDOG=1"]] {
            notifier.tell("WATCHDOG=1");
            assert_eq!(drain(), expected);
        }
    }
}
