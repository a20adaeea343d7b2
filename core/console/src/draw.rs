//! From lines to the bytes that bring a terminal from one picture to the next.

use std::fmt::Write;

use crate::page::{Line, Style};
use crate::view::Size;

/// What a terminal understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ECMA-48: cursor, colours, scrolling region (vt100 and after, the Linux console).
    Full,
    /// Lines of text and nothing else.
    Dumb,
}

impl Kind {
    /// From the variable TERM.
    pub fn of(term: &str) -> Self {
        match term {
            "" | "dumb" | "unknown" => Self::Dumb,
            _ => Self::Full,
        }
    }
}

/// Remembers what is on the screen.
#[derive(Debug)]
pub struct Painter {
    kind: Kind,
    shown: Vec<Line>,
    size: Option<Size>,
}

impl Painter {
    /// For a terminal of which nothing is known yet.
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            shown: Vec::new(),
            size: None,
        }
    }

    /// The bytes that change what is shown into `lines`: nothing when nothing
    /// changed, all of it when `fully` or when the size is another.
    pub fn paint(&mut self, lines: &[Line], size: Size, fully: bool) -> String {
        let anew = fully || self.size != Some(size) || self.shown.len() != lines.len();
        let bytes = match self.kind {
            Kind::Dumb => self.list(lines, anew),
            Kind::Full if anew => self.all(lines, size),
            Kind::Full => self.changes(lines, size),
        };
        self.shown = lines.to_vec();
        self.size = Some(size);
        bytes
    }

    /// Asks a terminal that cannot be asked otherwise (a serial line) how large it is:
    /// the cursor goes as far as it can and tells where that is.
    pub fn ask_size(&self) -> &'static str {
        match self.kind {
            Kind::Full => "\x1b7\x1b[999;999H\x1b[6n\x1b8",
            Kind::Dumb => "",
        }
    }

    fn all(&self, lines: &[Line], size: Size) -> String {
        let mut bytes = String::from("\x1b[r\x1b[0m");
        if self.size.is_none() {
            // What the boot has written is pushed up, not wiped away.
            push(&mut bytes, format_args!("\x1b[{};1H", size.rows));
            bytes.push_str(&"\r\n".repeat(size.rows));
        }
        bytes.push_str("\x1b[H");
        for line in lines {
            styled(&mut bytes, line);
            bytes.push_str("\r\n");
        }
        bytes.push_str("\x1b[J");
        let first = lines.len() + 1;
        push(&mut bytes, format_args!("\x1b[{first};{}r", size.rows));
        park(&mut bytes, size);
        bytes
    }

    fn changes(&self, lines: &[Line], size: Size) -> String {
        let mut bytes = String::new();
        for (index, (line, shown)) in lines.iter().zip(&self.shown).enumerate() {
            if line != shown {
                push(&mut bytes, format_args!("\x1b[{};1H", index + 1));
                styled(&mut bytes, line);
            }
        }
        if !bytes.is_empty() {
            park(&mut bytes, size);
        }
        bytes
    }

    /// A terminal that only takes lines gets all of them, and only when one changed
    /// that does not change all the time.
    fn list(&self, lines: &[Line], anew: bool) -> String {
        let calm = |lines: &[Line]| -> Vec<String> {
            lines
                .iter()
                .filter(|line| !line.restless)
                .map(|line| line.text.clone())
                .collect()
        };
        let mut bytes = String::new();
        if anew || calm(lines) != calm(&self.shown) {
            bytes.push_str("\r\n");
            for line in lines.iter().filter(|line| !line.text.is_empty()) {
                bytes.push_str(&line.text);
                bytes.push_str("\r\n");
            }
        }
        bytes
    }
}

/// The bytes that give the terminal back as it was found.
pub fn leave(kind: Kind, size: Size) -> String {
    match kind {
        Kind::Full => format!("\x1b[r\x1b[0m\x1b[{};1H\r\n", size.rows),
        Kind::Dumb => "\r\n".to_owned(),
    }
}

/// Wipes the row, then writes: wiping after a line as wide as the screen would take
/// its last letter along.
fn styled(bytes: &mut String, line: &Line) {
    bytes.push_str("\x1b[K");
    let start = match line.style {
        Style::Plain => "",
        Style::Title => "\x1b[1m",
        Style::Good => "\x1b[32m",
        Style::Notice => "\x1b[33m",
        Style::Bad => "\x1b[1;31m",
    };
    bytes.push_str(start);
    bytes.push_str(&line.text);
    if !start.is_empty() {
        bytes.push_str("\x1b[0m");
    }
}

/// Leaves the cursor where the kernel's own lines may come.
fn park(bytes: &mut String, size: Size) {
    push(bytes, format_args!("\x1b[{};1H", size.rows));
}

fn push(bytes: &mut String, text: std::fmt::Arguments<'_>) {
    bytes
        .write_fmt(text)
        .expect("writing to a string cannot fail");
}
