//! What services write, line by line into the kernel's log.
//!
//! A service that writes without end fills neither our memory nor the log: a line
//! is cut, and above a number of lines within a time the rest is only counted.

use crate::kernel_log::one_line;
use crate::supervisor::Moment;

/// The longest line kept, in bytes.
const LONGEST_LINE: usize = 800;

/// Lines passed on within one [`PERIOD`].
const LINES: u32 = 100;

/// The time after which the count begins anew.
const PERIOD: Moment = Moment::from_seconds(10);

/// The lines of one service.
#[derive(Debug, Default)]
pub struct Lines {
    partial: Vec<u8>,
    /// Whether the rest of the present line is dropped.
    cut: bool,
    since: Moment,
    passed: u32,
    dropped: u32,
}

impl Lines {
    /// Takes bytes in and hands out the lines that are complete.
    pub fn push(&mut self, bytes: &[u8], now: Moment) -> Vec<String> {
        let mut lines = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => {
                    let line = std::mem::take(&mut self.partial);
                    self.cut = false;
                    self.pass(&line, now, &mut lines);
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
    pub fn finish(&mut self, now: Moment) -> Vec<String> {
        let line = std::mem::take(&mut self.partial);
        let mut lines = Vec::new();
        self.pass(&line, now, &mut lines);
        if self.dropped > 0 {
            lines.push(format!("{} lines dropped", self.dropped));
        }
        lines
    }

    fn pass(&mut self, line: &[u8], now: Moment, lines: &mut Vec<String>) {
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
        if self.passed < LINES {
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
        assert!(lines.push(b"on", now).is_empty());
        assert_eq!(
            lines.push(b"e\n\n\x1b[2Jtwo\r\nth", now),
            ["one", " [2Jtwo"]
        );
        assert_eq!(lines.finish(now), ["th"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let mut lines = Lines::default();
        let now = Moment::from_seconds(1);
        for _ in 0..1000 {
            assert!(lines.push(&[b'x'; 1000], now).is_empty());
        }
        let out = lines.push(b"\nnext\n", now);
        assert_eq!(out[0].len(), LONGEST_LINE);
        assert_eq!(out[1], "next");
    }

    #[test]
    fn a_flood_is_counted_and_not_passed_on() {
        let mut lines = Lines::default();
        let flood = b"x\n".repeat(1000);
        let passed = lines.push(&flood, Moment::from_seconds(20)).len();
        assert_eq!(passed, 100);
        let later = lines.push(b"y\n", Moment::from_seconds(31));
        assert_eq!(later, ["900 lines dropped", "y"]);
    }
}
