//! What of the page is on the screen: head, a window on the body, and the two lines
//! at the bottom. No I/O.

use crate::dialogue::KEYS;
use crate::page::{Line, Page, Style};
use crate::text::clip;

/// The smallest screen drawn for.
pub const SMALLEST: Size = Size {
    rows: 10,
    columns: 40,
};

/// The largest screen drawn for: what a terminal claims is not trusted.
pub const LARGEST: Size = Size {
    rows: 200,
    columns: 300,
};

/// Rows at the bottom left to the kernel: what it writes to the console scrolls
/// there, and does not shift the page.
pub const KERNEL_ROWS: usize = 2;

/// A screen's size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Lines.
    pub rows: usize,
    /// Columns.
    pub columns: usize,
}

impl Size {
    /// What is assumed of a terminal that does not tell.
    pub const USUAL: Self = Self {
        rows: 24,
        columns: 80,
    };

    /// A size within what is drawn for; a terminal that says 0 does not know.
    pub fn new(rows: usize, columns: usize) -> Self {
        let or = |value: usize, usual| if value == 0 { usual } else { value };
        Self {
            rows: or(rows, Self::USUAL.rows).clamp(SMALLEST.rows, LARGEST.rows),
            columns: or(columns, Self::USUAL.columns).clamp(SMALLEST.columns, LARGEST.columns),
        }
    }
}

/// The lines for a screen, and how far the body may be scrolled.
pub fn compose(page: &Page, message: &str, size: Size, scroll: &mut usize) -> Vec<Line> {
    let rows = size.rows.saturating_sub(KERNEL_ROWS);
    // One row less on the body than the bottom takes: the last line has no newline.
    let room = body_room(page, size);
    let hidden = page.body.len().saturating_sub(room);
    *scroll = (*scroll).min(hidden);

    let mut lines: Vec<Line> = page.head.iter().take(rows / 2).cloned().collect();
    lines.extend(page.body.iter().skip(*scroll).take(room).cloned());
    let bottom = rows.saturating_sub(2);
    lines.truncate(bottom);
    lines.resize(bottom, plain(String::new()));

    let style = if message.is_empty() {
        Style::Plain
    } else {
        Style::Notice
    };
    lines.push(Line {
        text: clip(message, size.columns),
        style,
        restless: false,
    });
    let more = match (*scroll > 0, *scroll < hidden) {
        (false, false) => "",
        (false, true) => "; more: Down",
        (true, false) => "; more: Up",
        (true, true) => "; more: Up, Down",
    };
    lines.push(plain(clip(&format!("{KEYS}{more}"), size.columns)));
    lines
}

/// The rows that the body has on a screen of this size.
pub fn body_room(page: &Page, size: Size) -> usize {
    let rows = size.rows.saturating_sub(KERNEL_ROWS);
    let head = page.head.len().min(rows / 2);
    rows.saturating_sub(head + 2)
}

fn plain(text: String) -> Line {
    Line {
        text,
        style: Style::Plain,
        restless: false,
    }
}
