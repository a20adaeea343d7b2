//! Telling PID 1 how we are (sd_notify(3)).

use std::collections::VecDeque;
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
    /// What PID 1 must hear and has not taken yet, oldest first.
    waiting: VecDeque<String>,
}

/// Messages that wait at most; there are two that must be heard.
const WAITING: usize = 4;

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
                waiting: VecDeque::new(),
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
            waiting: VecDeque::new(),
        })
    }

    /// How often to say `WATCHDOG=1`, in microseconds.
    #[must_use]
    pub fn watchdog(&self) -> Option<u64> {
        self.watchdog
    }

    /// Tells what may get lost, because it is told again; whether it was taken. A full
    /// queue is no reason to stop, and nothing to write about: what this program writes
    /// would come back to it.
    pub fn tell(&self, message: &str) -> bool {
        // Whoever asked for nothing has nothing to take.
        self.socket
            .as_ref()
            .is_none_or(|socket| socket.send(message.as_bytes()).is_ok())
    }

    /// Tells what must be heard: now, or as soon as [`Notifier::again`] finds room.
    pub fn insist(&mut self, message: &str) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(message.to_owned());
        }
        self.again();
    }

    /// Tells what PID 1 has not taken yet, in its order.
    pub fn again(&mut self) {
        while let Some(message) = self.waiting.front() {
            if !self.tell(message) {
                return;
            }
            self.waiting.pop_front();
        }
    }

    /// Whether something must still be heard.
    #[must_use]
    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_be_heard_is_told_until_it_is() {
        let (ours, theirs) = UnixDatagram::pair().unwrap();
        never_wait(&ours).unwrap();
        never_wait(&theirs).unwrap();
        let mut notifier = Notifier {
            socket: Some(ours),
            watchdog: None,
            waiting: VecDeque::new(),
        };
        // PID 1 is behind: its queue is full.
        while notifier.tell("STATUS=busy") {}
        notifier.insist("READY=1");
        notifier.again();
        assert!(notifier.waits());
        notifier.insist("STOPPING=1");
        let mut heard = Vec::new();
        let mut bytes = [0; 64];
        for _ in 0..2 {
            while let Ok(count) = theirs.recv(&mut bytes) {
                heard.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
            }
            notifier.again();
        }
        assert!(!notifier.waits());
        while let Ok(count) = theirs.recv(&mut bytes) {
            heard.push(String::from_utf8_lossy(&bytes[..count]).into_owned());
        }
        heard.retain(|message| message != "STATUS=busy");
        assert_eq!(heard, ["READY=1", "STOPPING=1"]);
    }
}
