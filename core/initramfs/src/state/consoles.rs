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
    termios::{
        LocalModes, OptionalActions, QueueSelector, SpecialCodeIndex, Termios, tcflush, tcgetattr,
        tcsetattr,
    },
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
    /// How it was set before.
    before: Option<Termios>,
    typed: Typed,
    /// Hung up: nobody is there.
    gone: bool,
}

impl Consoles {
    /// Opens the consoles, in the mode in which the kernel hands over each key and shows
    /// none. They are set back when this is dropped. What was typed before does not count.
    pub fn open() -> Self {
        Self(
            names()
                .iter()
                .filter_map(|name| Console::open(name))
                .collect(),
        )
    }

    /// No console.
    #[cfg(test)]
    pub fn none() -> Self {
        Self(Vec::new())
    }

    /// Shows a text on every console, line ends as terminals want them. Returns how many
    /// took the whole of it.
    pub fn show(&mut self, text: &str) -> usize {
        let bytes = text.replace('\n', "\r\n");
        self.0
            .iter_mut()
            .map(|console| console.write(bytes.as_bytes()))
            .filter(|whole| *whole)
            .count()
    }

    /// Shows a question and waits for a line from any console. `None`: nobody answered
    /// within the time, or there is nobody to ask.
    pub fn ask(&mut self, question: &str, patience: Option<Duration>) -> Option<Zeroizing<String>> {
        self.ask_shown(question, patience, Echo::Letters)
    }

    /// As [`Consoles::ask`]; stars stand for what is typed.
    pub fn ask_for_secret(
        &mut self,
        question: &str,
        patience: Option<Duration>,
    ) -> Option<Zeroizing<String>> {
        self.ask_shown(question, patience, Echo::Stars)
    }

    fn ask_shown(
        &mut self,
        question: &str,
        patience: Option<Duration>,
        echo: Echo,
    ) -> Option<Zeroizing<String>> {
        for console in &mut self.0 {
            console.typed = Typed::new(echo);
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
        let before = Some(settings.clone());
        // Every key comes to us, none is shown but by us, and none interrupts PID 1.
        settings.local_modes -=
            LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        // Else no key would look like a line that hung up.
        settings.special_codes[SpecialCodeIndex::VMIN] = 1;
        settings.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&device, OptionalActions::Now, &settings).ok()?;
        Some(Self {
            device,
            before,
            typed: Typed::new(Echo::Letters),
            gone: false,
        })
    }

    /// Writes; says whether all of it was taken.
    fn write(&mut self, mut bytes: &[u8]) -> bool {
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
                Err(Errno::AGAIN) => return false,
                Err(_) => self.gone = true,
            }
        }
        bytes.is_empty()
    }

    /// The line that was typed, if it is complete.
    fn line(&mut self) -> Option<Zeroizing<String>> {
        let mut bytes = Zeroizing::new([0; LONGEST]);
        let count = match read(&self.device, &mut bytes[..]) {
            Ok(0) => {
                self.gone = true;
                0
            }
            Ok(count) => count,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(_) => {
                self.gone = true;
                0
            }
        };
        let mut shown = Zeroizing::new(Vec::new());
        let line = self
            .typed
            .take(bytes.get(..count).unwrap_or_default(), &mut shown);
        self.write(&shown);
        line
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // One that hung up has nothing to be set back; nobody is there to be told.
            tcsetattr(&self.device, OptionalActions::Now, before).unwrap_or_default();
        }
    }
}

/// What is shown for a letter that is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Echo {
    /// The letter.
    Letters,
    /// A star.
    Stars,
}

/// A line that is being typed.
#[derive(Debug)]
struct Typed {
    bytes: Zeroizing<Vec<u8>>,
    echo: Echo,
}

impl Typed {
    fn new(echo: Echo) -> Self {
        Self {
            // Its room is never outgrown, so no copy is left.
            bytes: Zeroizing::new(Vec::with_capacity(LONGEST)),
            echo,
        }
    }

    /// Takes keys. Puts what the terminal is to show in `shown`, and gives the line once it
    /// is ended or as long as a line may be.
    fn take(&mut self, keys: &[u8], shown: &mut Vec<u8>) -> Option<Zeroizing<String>> {
        const ERASE: &[u8] = b"\x08 \x08";
        for key in keys {
            match *key {
                b'\n' | b'\r' => return Some(self.end(shown)),
                // Backspace, as terminals send it.
                0x08 | 0x7f => {
                    if self.rub_out() {
                        shown.extend(ERASE);
                    }
                }
                // ^U: all of it.
                0x15 => {
                    while self.rub_out() {
                        shown.extend(ERASE);
                    }
                }
                0..0x20 => {}
                letter => {
                    self.bytes.push(letter);
                    match self.echo {
                        Echo::Letters => shown.push(letter),
                        Echo::Stars if continues(letter) => {}
                        Echo::Stars => shown.push(b'*'),
                    }
                    if self.bytes.len() == LONGEST {
                        return Some(self.end(shown));
                    }
                }
            }
        }
        None
    }

    fn end(&mut self, shown: &mut Vec<u8>) -> Zeroizing<String> {
        shown.extend(b"\r\n");
        let line = Zeroizing::new(String::from_utf8_lossy(&self.bytes).into_owned());
        let line = Zeroizing::new(line.trim().to_owned());
        *self = Self::new(self.echo);
        line
    }

    /// Takes the last letter back, if there is one.
    fn rub_out(&mut self) -> bool {
        while let Some(byte) = self.bytes.pop() {
            if !continues(byte) {
                return true;
            }
        }
        false
    }
}

/// Whether a byte is a later one of a letter in UTF-8.
fn continues(byte: u8) -> bool {
    byte & 0xc0 == 0x80
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

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(echo: Echo, keys: &str) -> (Option<String>, String) {
        let mut shown = Vec::new();
        let line = Typed::new(echo).take(keys.as_bytes(), &mut shown);
        (
            line.map(|line| line.to_string()),
            String::from_utf8(shown).unwrap(),
        )
    }

    #[test]
    fn a_secret_is_never_shown() {
        let (line, shown) = typed(Echo::Stars, "ABCD-é\r");
        assert_eq!(line.unwrap(), "ABCD-é");
        assert_eq!(shown, "******\r\n");
        let (line, shown) = typed(Echo::Letters, " y \n");
        assert_eq!((line.unwrap().as_str(), shown.as_str()), ("y", " y \r\n"));
    }

    #[test]
    fn typing_mistakes_are_rubbed_out() {
        let (line, shown) = typed(Echo::Stars, "Aé\x7f\x08\x08B\r");
        assert_eq!(line.unwrap(), "B");
        assert_eq!(shown, "**\x08 \x08\x08 \x08*\r\n");
        assert_eq!(typed(Echo::Letters, "abc\x15d\r").0.unwrap(), "d");
        // Neither end of file nor an interrupt ends it.
        assert_eq!(typed(Echo::Letters, "\x04\x03\x1ba").0, None);
    }

    #[test]
    fn a_line_has_an_end() {
        let (line, _) = typed(Echo::Letters, &"x".repeat(LONGEST + 9));
        assert_eq!(line.unwrap().len(), LONGEST);
    }

    fn consoles(devices: &[&str]) -> Consoles {
        let console = |path: &&str| Console {
            device: open(*path, OFlags::RDWR, Mode::empty()).unwrap(),
            before: None,
            typed: Typed::new(Echo::Letters),
            gone: false,
        };
        Consoles(devices.iter().map(console).collect())
    }

    #[test]
    fn who_took_a_text_is_counted() {
        assert_eq!(consoles(&[]).show("key"), 0);
        assert_eq!(consoles(&["/dev/full"]).show("key"), 0);
        assert_eq!(consoles(&["/dev/full", "/dev/null"]).show("key"), 1);
    }
}
