//! The serial console: what the machine says, when it said it, and typing on it.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::terminal_text::Filter;

/// How many lines a failed expectation shows.
const SHOWN_LINES: usize = 30;

/// The answer of a terminal large enough that no page is cut: 120 rows, 160 columns.
const TERMINAL_SIZE: &[u8] = b"\x1b[120;160R";

/// A line of the console.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Host time from power-on to the line's first character.
    pub at: Duration,
    /// Its text, without control sequences.
    pub text: String,
}

/// What an expectation found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Which of the wanted texts it was.
    pub index: usize,
    /// Everything from the end of the last find to the end of this one.
    pub text: String,
    /// Host time from power-on to its being noticed.
    pub at: Duration,
}

/// Why an expectation failed.
#[derive(Debug, thiserror::Error)]
pub enum ExpectError {
    /// It did not come in time.
    #[error(
        "the console did not show {wanted} within {} s; it ends with:\n{tail}",
        patience.as_secs()
    )]
    Silent {
        /// What was waited for.
        wanted: String,
        /// How long.
        patience: Duration,
        /// The last lines.
        tail: String,
    },
    /// The machine went off before.
    #[error("the machine went off before its console showed {wanted}; it ends with:\n{tail}")]
    Stopped {
        /// What was waited for.
        wanted: String,
        /// The last lines.
        tail: String,
    },
    /// Something came that must not.
    #[error("the console showed {unwanted:?}, which must not appear; it ends with:\n{tail}")]
    Unwanted {
        /// What came.
        unwanted: String,
        /// The last lines.
        tail: String,
    },
    /// Typing failed.
    #[error("the serial line does not take input")]
    Typing(#[source] io::Error),
}

#[derive(Debug, Default)]
struct Record {
    text: String,
    lines: Vec<Line>,
    /// How far expectations have read in `text`.
    read: usize,
    closed: bool,
}

impl Record {
    fn append(&mut self, text: &str, at: Duration) {
        self.text.push_str(text);
        for piece in text.split_inclusive('\n') {
            if self
                .lines
                .last()
                .is_none_or(|line| line.text.ends_with('\n'))
            {
                self.lines.push(Line {
                    at,
                    text: String::new(),
                });
            }
            if let Some(line) = self.lines.last_mut() {
                line.text.push_str(piece);
            }
        }
    }

    fn tail(&self) -> String {
        let lines: Vec<&str> = self
            .text
            .lines()
            .filter(|line| !line.trim().is_empty())
            .collect();
        let from = lines.len().saturating_sub(SHOWN_LINES);
        let mut tail = String::new();
        for line in &lines[from..] {
            tail.push_str("    | ");
            tail.push_str(line);
            tail.push('\n');
        }
        if tail.is_empty() {
            tail.push_str("    | (nothing was printed)\n");
        }
        tail
    }
}

#[derive(Debug, Default)]
struct Shared {
    record: Mutex<Record>,
    news: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Record> {
        // The record is only ever appended to: after a panic elsewhere it still holds.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The machine's serial console.
#[derive(Debug)]
pub struct Console {
    shared: Arc<Shared>,
    writer: UnixStream,
    power_on: Instant,
}

fn quoted(wanted: &[&str]) -> String {
    let quoted: Vec<String> = wanted.iter().map(|text| format!("{text:?}")).collect();
    quoted.join(" or ")
}

impl Console {
    /// Reads `stream` until its end, keeping the raw bytes in `log`.
    pub(crate) fn attach(stream: UnixStream, mut log: File, power_on: Instant) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = stream.try_clone()?;
        let record = Arc::clone(&shared);
        thread::Builder::new()
            .name("serial".to_owned())
            .spawn(move || {
                if let Err(error) = listen(stream, &mut log, &record, power_on) {
                    eprintln!("warning: the serial log is incomplete: {error}");
                }
                record.lock().closed = true;
                record.news.notify_all();
            })?;
        Ok(Self {
            shared,
            writer,
            power_on,
        })
    }

    /// Waits for one text; see [`Console::expect_any`].
    pub fn expect(&self, wanted: &str, patience: Duration) -> Result<Seen, ExpectError> {
        self.expect_any(&[wanted], &[], patience)
    }

    /// Waits until one of `wanted` has been printed after the last find, and fails
    /// at once when one of `unwanted` is printed before it or the machine goes off.
    pub fn expect_any(
        &self,
        wanted: &[&str],
        unwanted: &[&str],
        patience: Duration,
    ) -> Result<Seen, ExpectError> {
        let end = Instant::now() + patience;
        let mut record = self.shared.lock();
        loop {
            let news = &record.text[record.read..];
            let found = first_of(news, wanted);
            let refused = first_of(news, unwanted);
            if let Some((start, index)) = refused
                && found.is_none_or(|(good, _)| start < good)
            {
                return Err(ExpectError::Unwanted {
                    unwanted: unwanted[index].to_owned(),
                    tail: record.tail(),
                });
            }
            if let Some((start, index)) = found {
                let stop = start + wanted[index].len();
                let text = news[..stop].to_owned();
                record.read += stop;
                return Ok(Seen {
                    index,
                    text,
                    at: self.power_on.elapsed(),
                });
            }
            if record.closed {
                return Err(ExpectError::Stopped {
                    wanted: quoted(wanted),
                    tail: record.tail(),
                });
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return Err(ExpectError::Silent {
                    wanted: quoted(wanted),
                    patience,
                    tail: record.tail(),
                });
            };
            record = self
                .shared
                .news
                .wait_timeout(record, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Watches for `duration` (or until the machine goes off) that none of
    /// `unwanted` appears, counting all that was printed since power-on.
    pub fn expect_none(&self, unwanted: &[&str], duration: Duration) -> Result<(), ExpectError> {
        let end = Instant::now() + duration;
        let mut record = self.shared.lock();
        loop {
            if let Some((_, index)) = first_of(&record.text, unwanted) {
                return Err(ExpectError::Unwanted {
                    unwanted: unwanted[index].to_owned(),
                    tail: record.tail(),
                });
            }
            let left = end.checked_duration_since(Instant::now());
            let Some(left) = left.filter(|_| !record.closed) else {
                return Ok(());
            };
            record = self
                .shared
                .news
                .wait_timeout(record, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// Types `keys`.
    pub fn send(&self, keys: &str) -> Result<(), ExpectError> {
        (&self.writer)
            .write_all(keys.as_bytes())
            .map_err(ExpectError::Typing)
    }

    /// Lets later expectations see only what is printed from now on.
    pub fn forget(&self) {
        let mut record = self.shared.lock();
        record.read = record.text.len();
    }

    /// Everything printed so far.
    pub fn text(&self) -> String {
        self.shared.lock().text.clone()
    }

    /// The lines printed so far, each with its time, without line ends.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines = self.shared.lock().lines.clone();
        for line in &mut lines {
            // A prompt's last character is a space, and it has no line end.
            let end = line.text.trim_end_matches(['\r', '\n']).len();
            line.text.truncate(end);
        }
        lines
    }

    /// The last lines, as a failed expectation shows them.
    pub fn tail(&self) -> String {
        self.shared.lock().tail()
    }

    /// Whether the other end is gone.
    pub fn is_closed(&self) -> bool {
        self.shared.lock().closed
    }
}

/// Whether the guest has just asked where the cursor is, as it does to learn the
/// terminal's size; `asked` keeps the end of what came before.
fn asks_for_size(asked: &mut Vec<u8>, news: &[u8]) -> bool {
    const QUESTION: &[u8] = b"\x1b[6n";
    asked.extend_from_slice(news);
    let asks = asked
        .windows(QUESTION.len())
        .any(|window| window == QUESTION);
    let kept = if asks { 0 } else { QUESTION.len() - 1 };
    asked.drain(..asked.len().saturating_sub(kept));
    asks
}

fn first_of(text: &str, wanted: &[&str]) -> Option<(usize, usize)> {
    wanted
        .iter()
        .enumerate()
        .filter_map(|(index, pattern)| text.find(pattern).map(|start| (start, index)))
        .min()
}

fn listen(
    mut stream: UnixStream,
    log: &mut File,
    shared: &Shared,
    power_on: Instant,
) -> io::Result<()> {
    let mut filter = Filter::new();
    let mut asked = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let length = match stream.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // QEMU was killed with unread input of ours in the socket.
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => return Ok(()),
            Err(error) => return Err(error),
        };
        let at = power_on.elapsed();
        log.write_all(&buffer[..length])?;
        if asks_for_size(&mut asked, &buffer[..length]) {
            stream.write_all(TERMINAL_SIZE)?;
        }
        let text = filter.feed(&buffer[..length]);
        shared.lock().append(&text, at);
        shared.news.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console() -> (Console, UnixStream) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let log = tempfile::tempfile().unwrap();
        (Console::attach(ours, log, Instant::now()).unwrap(), theirs)
    }

    const SOON: Duration = Duration::from_millis(50);
    const LATER: Duration = Duration::from_secs(20);

    #[test]
    fn expectations_move_forward() {
        let (console, mut machine) = console();
        machine.write_all(b"one\r\ntwo\r\none login: ").unwrap();
        assert_eq!(console.expect("two", LATER).unwrap().text, "one\ntwo");
        assert_eq!(console.expect("one", LATER).unwrap().text, "\none");
        assert!(matches!(
            console.expect("two", SOON),
            Err(ExpectError::Silent { .. })
        ));
        let lines: Vec<String> = console.lines().into_iter().map(|line| line.text).collect();
        assert_eq!(lines, ["one", "two", "one login: "]);
    }

    #[test]
    fn a_machine_that_goes_off_fails_fast_and_shows_its_last_words() {
        let (console, mut machine) = console();
        machine.write_all(b"bastide: refused: core\n").unwrap();
        drop(machine);
        let error = console.expect("ready", LATER).unwrap_err();
        assert!(matches!(error, ExpectError::Stopped { .. }));
        assert!(
            error.to_string().contains("bastide: refused: core"),
            "{error}"
        );
    }

    #[test]
    fn a_question_for_the_size_is_answered() {
        let (_console, mut machine) = console();
        machine.write_all(b"page\x1b7\x1b[999;999H\x1b[").unwrap();
        machine.write_all(b"6n\x1b8").unwrap();
        let mut answer = [0; 10];
        machine.read_exact(&mut answer).unwrap();
        assert_eq!(answer, TERMINAL_SIZE);
    }

    #[test]
    fn what_must_not_appear_is_noticed_before_and_after() {
        let (console, mut machine) = console();
        machine.write_all(b"refused then ready").unwrap();
        let error = console.expect_any(&["ready"], &["refused"], LATER);
        assert!(matches!(error, Err(ExpectError::Unwanted { .. })));
        assert!(console.expect_none(&["ready"], SOON).is_err());
        assert!(console.expect_none(&["shell"], SOON).is_ok());
    }
}
