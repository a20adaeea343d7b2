//! Text that is safe to put on a terminal, and fits.
//!
//! Much of the page comes from elsewhere: a firmware variable that anyone with a
//! boot menu could write, the status of a service, names of devices. None of it may
//! move the cursor, change colours or turn the writing direction.

/// Shown in place of what is not.
const REPLACEMENT: char = '?';

/// Keeps letters, digits, ASCII signs and blanks; everything else becomes `?`.
pub fn safe(text: &str) -> String {
    text.chars()
        .map(|letter| {
            let ascii = letter == ' ' || letter.is_ascii_graphic();
            // Letters of Latin, Greek and Cyrillic: one column each, left to right,
            // without the marks that combine with the letter before.
            let simple = letter.is_alphabetic()
                && ('\u{a1}'..'\u{530}').contains(&letter)
                && !('\u{300}'..'\u{370}').contains(&letter);
            if ascii || simple { letter } else { REPLACEMENT }
        })
        .collect()
}

/// The number of columns of a [`safe`] text.
pub fn columns(text: &str) -> usize {
    text.chars().count()
}

/// Cuts a [`safe`] text to a number of columns; a cut shows as `~`.
pub fn clip(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(width.saturating_sub(1)).collect();
    if width > 0 {
        cut.push('~');
    }
    cut
}

/// Breaks a [`safe`] text into lines at blanks; a word that is too long is cut in
/// pieces.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let width = width.max(1);
    let mut lines = vec![String::new()];
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut letters: Vec<char> = word.chars().collect();
        loop {
            let line = lines.last_mut().expect("there is always a line");
            let used = columns(line);
            let gap = usize::from(used > 0);
            if used + gap + letters.len() <= width {
                if gap > 0 {
                    line.push(' ');
                }
                line.extend(letters);
                break;
            }
            if used > 0 {
                lines.push(String::new());
                continue;
            }
            line.extend(letters.drain(..width));
            lines.push(String::new());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            safe("ok\u{1b}[2J\u{9b}1m\n\t\u{202e}x\u{200b}é~"),
            "ok?[2J?1m???x?é~"
        );
        for code in 0..0x3000_u32 {
            let Some(letter) = char::from_u32(code) else {
                continue;
            };
            let shown = safe(&letter.to_string());
            assert!(!shown.chars().any(char::is_control), "{code:x}");
        }
    }

    #[test]
    fn cuts_show() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("abcd", 3), "ab~");
        assert_eq!(clip("é€d", 2), "é~");
        assert_eq!(clip("abc", 0), "");
    }

    #[test]
    fn lines_break_at_blanks() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefgh x", 3), ["abc", "def", "gh", "x"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("a", 0), ["a"]);
        for width in 1..20 {
            for line in wrap("some words and averyveryverylongone", width) {
                assert!(columns(&line) <= width);
            }
        }
    }
}
