//! Asking a person at whatever console there is.
//!
//! What is written here goes to the consoles and nowhere else: the kernel's log, from
//! which the system's log is fed, must never hold a recovery key.

use std::{
    fs,
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, open},
    io::{Errno, read, write},
    termios::{LocalModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr},
};
use zeroize::Zeroizing;

/// Longest answer that is taken, in bytes.
const LONGEST: usize = 256;

/// Every console that the kernel writes to and that a person may type at.
#[derive(Debug)]
pub struct Consoles(Vec<Console>);

#[derive(Debug)]
struct Console {
    device: OwnedFd,
    typed: Zeroizing<Vec<u8>>,
    /// Hung up: nobody is there.
    gone: bool,
}

impl Consoles {
    /// Opens the consoles, in the mode in which the kernel shows what is typed and
    /// hands over whole lines. What was typed before does not count.
    pub fn open() -> Self {
        Self(
            names()
                .iter()
                .filter_map(|name| Console::open(name))
                .collect(),
        )
    }

    /// Shows a text on every console, line ends as terminals want them.
    pub fn show(&mut self, text: &str) {
        let bytes = text.replace('\n', "\r\n");
        for console in &mut self.0 {
            console.write(bytes.as_bytes());
        }
    }

    /// Shows a question and waits for a line from any console. `None`: nobody answered
    /// within the time, or there is nobody to ask.
    pub fn ask(&mut self, question: &str, patience: Option<Duration>) -> Option<Zeroizing<String>> {
        for console in &mut self.0 {
            console.typed.clear();
            // A console whose old input stays is one where a stray key answers.
            console.gone |= tcflush(&console.device, QueueSelector::IFlush).is_err();
        }
        self.show(question);
        let end = patience.map(|patience| Instant::now() + patience);
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            self.wait(left)?;
            for console in &mut self.0 {
                if let Some(line) = console.line() {
                    return Some(line);
                }
            }
        }
    }

    /// Waits until one may have something; `None` when there is nobody.
    fn wait(&self, limit: Option<Duration>) -> Option<()> {
        let mut waiting: Vec<PollFd<'_>> = self
            .0
            .iter()
            .filter(|console| !console.gone)
            .map(|console| PollFd::new(&console.device, PollFlags::IN))
            .collect();
        if waiting.is_empty() {
            return None;
        }
        let limit = limit.and_then(|limit| Timespec::try_from(limit).ok());
        match poll(&mut waiting, limit.as_ref()) {
            Ok(_) | Err(Errno::INTR) => Some(()),
            Err(_) => None,
        }
    }
}

impl Console {
    fn open(name: &str) -> Option<Self> {
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let device = open(format!("/dev/{name}"), flags, Mode::empty()).ok()?;
        let mut settings = tcgetattr(&device).ok()?;
        settings.local_modes |= LocalModes::ICANON | LocalModes::ECHO | LocalModes::ECHOE;
        // No key of a terminal interrupts PID 1.
        settings.local_modes -= LocalModes::ISIG;
        tcsetattr(&device, OptionalActions::Now, &settings).ok()?;
        Some(Self {
            device,
            typed: Zeroizing::new(Vec::new()),
            gone: false,
        })
    }

    fn write(&mut self, mut bytes: &[u8]) {
        // A serial line takes what fits in its buffer and the rest a little later; one
        // that takes nothing for long has nobody at its other end.
        let end = Instant::now() + Duration::from_secs(2);
        while !bytes.is_empty() && !self.gone {
            match write(&self.device, bytes) {
                Ok(count) => bytes = bytes.get(count..).unwrap_or_default(),
                Err(Errno::AGAIN) if Instant::now() < end => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return,
                Err(_) => self.gone = true,
            }
        }
    }

    /// The line that was typed, if it is complete.
    fn line(&mut self) -> Option<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0; LONGEST]);
        match read(&self.device, &mut bytes[..]) {
            Ok(0) => self.gone = true,
            Ok(count) => self.typed.extend(bytes.get(..count).unwrap_or_default()),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(_) => self.gone = true,
        }
        let end = self.typed.iter().position(|byte| *byte == b'\n');
        if end.is_none() && self.typed.len() < LONGEST {
            return None;
        }
        let end = end.unwrap_or(self.typed.len()).min(LONGEST);
        let line = String::from_utf8_lossy(self.typed.get(..end).unwrap_or_default());
        let line = Zeroizing::new(line.trim().to_owned());
        self.typed.clear();
        Some(line)
    }
}

/// Names of the consoles that the kernel writes to.
pub fn names() -> Vec<String> {
    fs::read_to_string("/proc/consoles")
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect()
}
