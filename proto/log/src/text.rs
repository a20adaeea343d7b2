//! JSON that no terminal obeys, and texts that have an end.

use std::io;

use serde::Serialize;
use serde_json::ser::{CharEscape, CompactFormatter, Formatter, Serializer};

/// Writes JSON in which every control character is escaped: beyond what JSON itself
/// demands also DEL, the C1 controls (which terminals obey), and those that turn the
/// direction of writing around or break lines.
///
/// # Errors
/// When the value is none of JSON; nothing useful is in `output` then.
pub fn write_json(value: &impl Serialize, output: &mut Vec<u8>) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(output, Harmless))
}

struct Harmless;

impl Formatter for Harmless {
    fn write_string_fragment<Output: ?Sized + io::Write>(
        &mut self,
        output: &mut Output,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((place, letter)) = rest.char_indices().find(|(_, letter)| obeyed(*letter)) {
            let (before, after) = rest.split_at(place);
            output.write_all(before.as_bytes())?;
            // All of them are below U+10000: one escape is enough.
            write!(output, "\\u{:04x}", u32::from(letter))?;
            rest = after.get(letter.len_utf8()..).unwrap_or_default();
        }
        output.write_all(rest.as_bytes())
    }

    fn write_char_escape<Output: ?Sized + io::Write>(
        &mut self,
        output: &mut Output,
        escape: CharEscape,
    ) -> io::Result<()> {
        CompactFormatter.write_char_escape(output, escape)
    }
}

/// What serde_json leaves as it is and a terminal or viewer obeys.
fn obeyed(letter: char) -> bool {
    matches!(
        letter,
        '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
    )
}

/// Cuts a text to at most `limit` bytes, between two letters. Says whether it was cut.
pub fn cut(text: &mut String, limit: usize) -> bool {
    if text.len() <= limit {
        return false;
    }
    text.truncate(boundary(text, limit));
    true
}

/// The last place between two letters at or before `limit`.
pub(crate) fn boundary(text: &str, limit: usize) -> usize {
    let mut place = limit.min(text.len());
    while !text.is_char_boundary(place) {
        place -= 1;
    }
    place
}

/// Text from bytes of anybody: what is no UTF-8 becomes U+FFFD; at most `limit` bytes
/// of it are looked at.
#[must_use]
pub fn lossy(bytes: &[u8], limit: usize) -> (String, bool) {
    let shorter = bytes.get(..limit).unwrap_or(bytes);
    let mut text = String::from_utf8_lossy(shorter).into_owned();
    let cut_again = cut(&mut text, limit);
    (text, cut_again || shorter.len() < bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_control_character_gets_through() {
        let mut all = String::new();
        for letter in (0..0x3000).filter_map(char::from_u32) {
            all.push(letter);
        }
        let mut json = Vec::new();
        write_json(&all, &mut json).unwrap();
        let text = String::from_utf8(json).unwrap();
        assert!(
            !text
                .chars()
                .any(|letter| letter.is_control() || obeyed(letter))
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), all);
    }

    #[test]
    fn cuts_are_between_letters() {
        let mut text = "aé".to_owned();
        assert!(cut(&mut text, 2));
        assert_eq!(text, "a");
        assert!(!cut(&mut text, 2));
        assert_eq!(lossy(b"ab\xffc", 10).0, "ab\u{fffd}c");
        assert_eq!(lossy(&[0xff; 9], 9), ("\u{fffd}".repeat(3), true));
    }
}
