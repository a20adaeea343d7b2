//! What services write, line by line on its way to the log.
//!
//! A service that writes without end fills neither our memory nor the log: a line
//! is cut, above a number of lines within a time the rest is only counted, and no more
//! is read while there is no room for the lines that were.

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, read};

use crate::kernel_log::one_line;
use crate::supervisor::Moment;

/// The longest line kept, in bytes.
const LONGEST_LINE: usize = 800;

/// Lines passed on within one [`PERIOD`], to the kernel's log, which is small and has
/// no limits of its own.
pub const TO_KERNEL: u32 = 100;

/// The same, to the service that keeps the log: what that takes of one source at once.
pub const TO_LOG: u32 = 10_000;

/// The time after which the count begins anew.
const PERIOD: Moment = Moment::from_seconds(10);

/// What one process of a service writes. The process may be gone while what it left
/// behind still writes, and the next one may have begun: a service may have several.
#[derive(Debug)]
pub struct Output {
    pid: u32,
    source: OwnedFd,
    lines: Lines,
    waiting: VecDeque<String>,
    last: Option<String>,
    /// Whether the process was reaped.
    reaped: bool,
    /// Whether nothing more comes.
    over: bool,
}

impl Output {
    /// What the process writes to the other end of `source`, which must not block.
    pub fn new(pid: u32, source: OwnedFd) -> Self {
        Self {
            pid,
            source,
            lines: Lines::default(),
            waiting: VecDeque::new(),
            last: None,
            reaped: false,
            over: false,
        }
    }

    /// The process, which may be gone.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Reads some of it; at most `most` lines of a [`PERIOD`] are passed on.
    pub fn read(&mut self, most: u32, now: Moment) {
        let mut bytes = [0; 4096];
        match read(&self.source, &mut bytes) {
            Ok(count) if count > 0 => {
                let bytes = bytes.get(..count).unwrap_or_default();
                let lines = self.lines.push(bytes, most, now);
                self.add(lines);
            }
            Err(Errno::AGAIN | Errno::INTR) => {}
            Ok(_) | Err(_) => {
                let lines = self.lines.finish(most, now);
                self.add(lines);
                self.over = true;
            }
        }
    }

    fn add(&mut self, lines: Vec<String>) {
        self.last = lines.last().cloned().or(self.last.take());
        self.waiting.extend(lines);
    }

    /// The process was reaped: the last line that it has written.
    pub fn reaped(&mut self, now: Moment) -> Option<String> {
        self.reaped = true;
        if !self.over {
            self.read(TO_KERNEL, now);
        }
        self.last.clone()
    }

    /// The source, if more may be read: lines that wait come first.
    pub fn wanted(&self) -> Option<BorrowedFd<'_>> {
        (self.waiting.is_empty() && !self.over).then(|| self.source.as_fd())
    }

    /// The line to pass on next.
    pub fn next(&self) -> Option<&str> {
        self.waiting.front().map(String::as_str)
    }

    /// The line to pass on next was passed on.
    pub fn passed(&mut self) {
        self.waiting.pop_front();
    }

    /// Whether nothing more comes, nothing waits, and nobody asks for the last line.
    pub fn is_over(&self) -> bool {
        self.over && self.reaped && self.waiting.is_empty()
    }
}

/// The lines of one process.
#[derive(Debug, Default)]
struct Lines {
    partial: Vec<u8>,
    /// Whether the rest of the present line is dropped.
    cut: bool,
    since: Moment,
    passed: u32,
    dropped: u32,
}

impl Lines {
    /// Takes bytes in and hands out the lines that are complete.
    fn push(&mut self, bytes: &[u8], most: u32, now: Moment) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.partial);
                    self.cut = false;
                    self.pass(&line, most, now, &mut lines);
                }
                _ if self.cut => {}
                _ => {
                    self.partial.push(*byte);
                    self.cut = self.partial.len() >= LONGEST_LINE;
                }
            }
        }
        lines
    }

    /// Hands out what is left when no more bytes come.
    fn finish(&mut self, most: u32, now: Moment) -> Vec<String> {
        let line = std::mem::take(&mut self.partial);
        let mut lines = Vec::new();
        self.pass(&line, most, now, &mut lines);
        if self.dropped > 0 {
            lines.push(format!("{} lines dropped", self.dropped));
        }
        lines
    }

    fn pass(&mut self, line: &[u8], most: u32, now: Moment, lines: &mut Vec<String>) {
        if now.since(self.since) >= PERIOD {
            if self.dropped > 0 {
                lines.push(format!("{} lines dropped", self.dropped));
            }
            self.since = now;
            self.passed = 0;
            self.dropped = 0;
        }
        let text = one_line(&String::from_utf8_lossy(line));
        let text = text.trim_end();
        if text.is_empty() {
            return;
        }
        if self.passed < most {
            self.passed += 1;
            lines.push(text.to_owned());
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_out_whole_and_clean() {
        let mut lines = Lines::default();
        let now = Moment::from_seconds(1);
        assert!(lines.push(b"on", TO_KERNEL, now).is_empty());
        assert_eq!(
            lines.push(b"e\n\n\x1b[2Jtwo\r\nth", TO_KERNEL, now),
            ["one", " [2Jtwo"]
        );
        assert_eq!(lines.finish(TO_KERNEL, now), ["th"]);
    }

    #[test]
    fn nothing_is_read_while_lines_wait() {
        let (source, theirs) = rustix::pipe::pipe().expect("a pipe");
        let mut output = Output::new(7, source);
        let now = Moment::from_seconds(1);
        rustix::io::write(&theirs, b"one\ntwo\nrest").expect("written");
        assert!(output.wanted().is_some() && output.next().is_none());
        output.read(TO_LOG, now);
        for line in ["one", "two"] {
            assert_eq!(output.next(), Some(line));
            assert!(output.wanted().is_none());
            output.passed();
        }
        assert!(output.wanted().is_some());
        drop(theirs);
        output.read(TO_LOG, now);
        assert!(output.wanted().is_none() && !output.is_over());
        assert_eq!(output.next(), Some("rest"));
        output.passed();
        assert!(!output.is_over());
        assert_eq!(output.reaped(now).as_deref(), Some("rest"));
        assert!(output.is_over());
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        let now = Moment::from_seconds(1);
        for _ in 0..1000 {
            assert!(lines.push(&[b'x'; 1000], TO_KERNEL, now).is_empty());
        }
        let out = lines.push(b"\nnext\n", TO_KERNEL, now);
        assert_eq!(out[0].len(), LONGEST_LINE);
        assert_eq!(out[1], "next");
    }

    #[test]
    fn a_flood_is_counted_and_not_passed_on() {
        let mut lines = Lines::default();
        let flood = b"x\n".repeat(1000);
        let passed = lines
            .push(&flood, TO_KERNEL, Moment::from_seconds(20))
            .len();
        assert_eq!(passed, 100);
        let later = lines.push(b"y\n", TO_KERNEL, Moment::from_seconds(31));
        assert_eq!(later, ["900 lines dropped", "y"]);
    }
}
