//! Terminal output turned into lines of plain text.

/// Where the reader is in an escape sequence.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    #[default]
    Plain,
    Escape,
    /// `ESC (` and its like: one more byte belongs to it.
    Designation,
    /// `ESC [`: ends with a byte of 0x40 to 0x7e.
    Control,
    /// `ESC ]`: ends with BEL or `ESC \`.
    Command,
}

/// A stream filter: bytes of a terminal in, plain text out.
///
/// Cursor positioning becomes a line break, since firmware menus and full-screen
/// pages put their lines in place with it. Everything else that is not printable
/// disappears, so that the result can be shown on a person's terminal safely.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    state: State,
    /// Bytes of a UTF-8 character that has not arrived whole.
    pending: Vec<u8>,
    line_is_empty: bool,
}

impl Filter {
    pub(crate) fn new() -> Self {
        Self {
            line_is_empty: true,
            ..Self::default()
        }
    }

    /// Plain text of `bytes`; lines end with `\n`.
    pub(crate) fn feed(&mut self, bytes: &[u8]) -> String {
        let mut text = String::new();
        for &byte in bytes {
            match self.state {
                State::Plain => self.plain(byte, &mut text),
                State::Escape => {
                    self.state = match byte {
                        b'[' => State::Control,
                        b']' | b'P' | b'^' | b'_' => State::Command,
                        b'(' | b')' | b'*' | b'+' | b'#' | b'%' => State::Designation,
                        _ => State::Plain,
                    }
                }
                State::Designation => self.state = State::Plain,
                State::Control => {
                    if (0x40..=0x7e).contains(&byte) {
                        self.state = State::Plain;
                        if matches!(byte, b'H' | b'f' | b'J' | b'E' | b'd') {
                            self.end_line(&mut text);
                        }
                    }
                }
                State::Command => match byte {
                    0x07 => self.state = State::Plain,
                    0x1b => self.state = State::Escape,
                    _ => {}
                },
            }
        }
        text
    }

    fn plain(&mut self, byte: u8, text: &mut String) {
        match byte {
            0x1b => self.state = State::Escape,
            b'\n' => {
                text.push('\n');
                self.line_is_empty = true;
            }
            b'\t' => text.push(' '),
            0x00..=0x1f | 0x7f => {}
            0x20..=0x7e => {
                text.push(char::from(byte));
                self.line_is_empty = false;
            }
            _ => self.multibyte(byte, text),
        }
    }

    fn multibyte(&mut self, byte: u8, text: &mut String) {
        if byte >= 0xc0 {
            self.pending.clear();
        }
        self.pending.push(byte);
        match std::str::from_utf8(&self.pending) {
            Ok(character) => {
                // C1 control characters are escape sequences in disguise.
                text.extend(character.chars().filter(|it| !it.is_control()));
                self.line_is_empty = false;
                self.pending.clear();
            }
            Err(_) if self.pending.len() >= 4 => self.pending.clear(),
            Err(_) => {}
        }
    }

    fn end_line(&mut self, text: &mut String) {
        if !self.line_is_empty {
            text.push('\n');
            self.line_is_empty = true;
        }
    }
}

/// The printable text of a whole recording.
pub fn printable(bytes: &[u8]) -> String {
    Filter::new().feed(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_disappear_and_positions_become_lines() {
        let text = printable(b"\x1b[2J\x1b[01;01H\x1b[=3h\x1b[1mBastide\x1b[0m\x1b[3;1Hready\r\n");
        assert_eq!(text, "Bastide\nready\n");
    }

    #[test]
    fn sequences_split_over_reads_are_still_removed() {
        let mut filter = Filter::new();
        let mut text = filter.feed(b"one\x1b");
        text += &filter.feed(b"[3");
        text += &filter.feed(b"1mtwo\x1b]0;title\x07three\xc3");
        text += &filter.feed(b"\xa9");
        assert_eq!(text, "onetwothreeé");
    }

    #[test]
    fn nothing_that_moves_a_terminal_survives() {
        let all: Vec<u8> = (0..=255).chain(0..=255).collect();
        let text = printable(&all);
        assert!(
            text.chars().all(|it| it == '\n' || !it.is_control()),
            "{text:?}"
        );
    }
}
