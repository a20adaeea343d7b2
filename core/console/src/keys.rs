//! Bytes from a keyboard or a serial line, as keys. Any bytes are survived.

/// The longest escape sequence looked at, in bytes.
const LONGEST: usize = 32;

/// What came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A printable ASCII letter, in lower case.
    Letter(char),
    /// Refresh: F5 or the space bar.
    Refresh,
    /// One line up.
    Up,
    /// One line down.
    Down,
    /// One screen up.
    PageUp,
    /// One screen down.
    PageDown,
    /// The escape key by itself.
    Escape,
    /// Anything else.
    Other,
    /// The terminal answers where its lower right corner is: rows, columns.
    Corner(u16, u16),
}

/// Puts sequences together that may come in pieces.
#[derive(Debug, Default)]
pub struct Keys {
    sequence: Vec<u8>,
}

impl Keys {
    /// Takes bytes in and hands out keys.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Key> {
        bytes
            .iter()
            .filter_map(|byte| self.push_byte(*byte))
            .collect()
    }

    /// Whether a sequence has begun that may yet go on.
    pub fn is_open(&self) -> bool {
        !self.sequence.is_empty()
    }

    /// Nothing more came in time: the sequence was the escape key by itself.
    pub fn time_out(&mut self) -> Option<Key> {
        let open = std::mem::take(&mut self.sequence);
        match open.len() {
            0 => None,
            1 => Some(Key::Escape),
            _ => Some(Key::Other),
        }
    }

    fn push_byte(&mut self, byte: u8) -> Option<Key> {
        if self.sequence.is_empty() {
            return match byte {
                0x1b => {
                    self.sequence.push(byte);
                    None
                }
                b' ' => Some(Key::Refresh),
                b'!'..=b'~' => Some(Key::Letter(char::from(byte.to_ascii_lowercase()))),
                // The second and later bytes of a UTF-8 letter: it was one key.
                0x80..=0xbf => None,
                _ => Some(Key::Other),
            };
        }
        if byte == 0x1b {
            // Escape twice, or a sequence broken off by the next.
            self.sequence = vec![byte];
            return Some(Key::Escape);
        }
        self.sequence.push(byte);
        if self.sequence.len() > LONGEST {
            self.sequence.clear();
            return Some(Key::Other);
        }
        if !is_complete(&self.sequence) {
            return None;
        }
        let sequence = std::mem::take(&mut self.sequence);
        Some(meaning(&sequence))
    }
}

/// ECMA-48: `ESC [`, parameters, then one byte from `@` to `~`. The Linux console
/// sends `ESC [ [ A` to `E` for F1 to F5; `ESC O` takes one more.
fn is_complete(sequence: &[u8]) -> bool {
    match sequence {
        [_, b'['] | [_, b'O'] | [_, b'[', b'['] => false,
        [_, b'[', .., last] => (b'@'..=b'~').contains(last),
        _ => true,
    }
}

fn meaning(sequence: &[u8]) -> Key {
    match sequence.get(1..).unwrap_or_default() {
        b"[A" | b"OA" => Key::Up,
        b"[B" | b"OB" => Key::Down,
        b"[5~" => Key::PageUp,
        b"[6~" => Key::PageDown,
        b"[15~" | b"[[E" => Key::Refresh,
        [b'[', numbers @ .., b'R'] => corner(numbers).unwrap_or(Key::Other),
        _ => Key::Other,
    }
}

fn corner(numbers: &[u8]) -> Option<Key> {
    let text = std::str::from_utf8(numbers).ok()?;
    let (rows, columns) = text.split_once(';')?;
    Some(Key::Corner(rows.parse().ok()?, columns.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_apart_however_the_bytes_come() {
        let bytes = b"pR \x1b[15~\x1b[[E\x1b[A\x1bOB\x1b[5~\x1b[6~\x1b[40;132R\x03\x1b[1;5Px";
        let expected = [
            Key::Letter('p'),
            Key::Letter('r'),
            Key::Refresh,
            Key::Refresh,
            Key::Refresh,
            Key::Up,
            Key::Down,
            Key::PageUp,
            Key::PageDown,
            Key::Corner(40, 132),
            Key::Other,
            Key::Other,
            Key::Letter('x'),
        ];
        for step in 1..bytes.len() {
            let mut keys = Keys::default();
            let seen: Vec<Key> = bytes
                .chunks(step)
                .flat_map(|piece| keys.push(piece))
                .collect();
            assert_eq!(seen, expected, "in pieces of {step}");
            assert!(!keys.is_open());
        }
    }

    #[test]
    fn escape_alone_is_a_key_after_a_while() {
        let mut keys = Keys::default();
        assert!(keys.push(b"\x1b").is_empty());
        assert!(keys.is_open());
        assert_eq!(keys.time_out(), Some(Key::Escape));
        assert_eq!(keys.time_out(), None);
        assert_eq!(keys.push(b"\x1b\x1b"), [Key::Escape]);
    }

    #[test]
    fn an_accented_letter_is_one_key_and_no_command() {
        assert_eq!(Keys::default().push("é".as_bytes()), [Key::Other]);
    }

    #[test]
    fn any_bytes_are_survived() {
        let mut state = 0x1234_5678_u32;
        let mut keys = Keys::default();
        for _ in 0..200_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = state.to_be_bytes()[0];
            // Escapes and brackets more often than by chance.
            let byte = match byte {
                0..=40 => 0x1b,
                41..=80 => b'[',
                other => other,
            };
            keys.push(&[byte]);
            assert!(keys.sequence.len() <= LONGEST);
        }
        assert_eq!(Keys::default().push(b"\x1b[99999;1R"), [Key::Other]);
    }
}
