//! The recovery key: 160 random bits that a person writes down and types.
//!
//! 32 letters of base32 (RFC 4648, 6) and 4 more that are the first 20 bits of SHA-256
//! over the 20 bytes, in 9 groups of 4. The text itself, in upper case with dashes, is
//! the passphrase, so that any tool that opens the volume takes what is on the paper.

use std::fmt;

use zeroize::Zeroizing;

use crate::Digest;

const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const KEY_LETTERS: usize = 32;
const LETTERS: usize = 36;
const GROUP: usize = 4;
const TEXT: usize = LETTERS + LETTERS / GROUP - 1;

/// Longer input is not looked at.
const LONGEST_INPUT: usize = 256;

/// A recovery key. Wiped when dropped; printing shows nothing.
#[derive(Clone)]
pub struct RecoveryKey {
    text: Zeroizing<[u8; TEXT]>,
}

/// Why what was typed is no recovery key. Groups count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecoveryKeyError {
    /// Nothing was typed.
    #[error("nothing was typed; a recovery key has 9 groups of 4 letters or digits")]
    Empty,
    /// Far more than a recovery key.
    #[error("this is longer than a recovery key, which has 9 groups of 4 letters or digits")]
    TooLong,
    /// A character that no recovery key has.
    #[error(
        "group {group} holds {letter:?}; a recovery key has the letters A to Z and the digits 2 to 7"
    )]
    Letter {
        /// Where.
        group: usize,
        /// Which.
        letter: char,
    },
    /// A group has too many or too few characters.
    #[error("group {group} has {found} characters instead of 4")]
    GroupLength {
        /// Which.
        group: usize,
        /// How many it has.
        found: usize,
    },
    /// Too many or too few characters in all.
    #[error("a recovery key has 36 letters and digits, and {found} were typed")]
    Length {
        /// How many were typed.
        found: usize,
    },
    /// The sum is another, and one mistyped character in this group explains it.
    #[error("something in group {group} is mistyped")]
    Mistyped {
        /// Which.
        group: usize,
    },
    /// The sum is another.
    #[error("the recovery key is mistyped; compare each group with the paper")]
    Sum,
}

impl RecoveryKey {
    /// The key of 20 bytes, which must be random.
    #[must_use]
    pub fn from_random(random: &Zeroizing<[u8; 20]>) -> Self {
        let mut values = Zeroizing::new([0u8; LETTERS]);
        for (place, value) in values[..KEY_LETTERS].iter_mut().enumerate() {
            *value = five_bits(random.as_slice(), place);
        }
        let sum = sum(&values);
        values[KEY_LETTERS..].copy_from_slice(&sum);
        Self::from_values(&values)
    }

    /// Reads what a person typed: in any case, with dashes, spaces or nothing between
    /// groups, with 0 for O, 1 for I and 8 for B.
    ///
    /// # Errors
    /// It is no recovery key; says which group to look at where that can be told.
    pub fn parse(typed: &str) -> Result<Self, RecoveryKeyError> {
        if typed.len() > LONGEST_INPUT {
            return Err(RecoveryKeyError::TooLong);
        }
        let mut values = Zeroizing::new([0u8; LETTERS]);
        let mut found = 0;
        // Of each group as it was typed.
        let mut lengths = Vec::new();
        let mut between = true;
        for letter in typed.chars() {
            if separates(letter) {
                between = true;
                continue;
            }
            if between {
                lengths.push(0usize);
                between = false;
            }
            // Groups as typed if any are, else by counting.
            let group = lengths.len().max(found / GROUP + 1);
            let value = value(letter).ok_or(RecoveryKeyError::Letter { group, letter })?;
            if let Some(place) = values.get_mut(found) {
                *place = value;
            }
            found += 1;
            if let Some(length) = lengths.last_mut() {
                *length += 1;
            }
        }
        if found == 0 {
            return Err(RecoveryKeyError::Empty);
        }
        if found != LETTERS {
            return Err(wrong_length(&lengths, found));
        }
        if values[KEY_LETTERS..] != sum(&values) {
            return Err(match mistyped_group(&values) {
                Some(group) => RecoveryKeyError::Mistyped { group },
                None => RecoveryKeyError::Sum,
            });
        }
        Ok(Self::from_values(&values))
    }

    /// The text, to be shown once and to be used as passphrase: upper case, with dashes.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(self.text.as_slice()).expect("the alphabet is ASCII")
    }

    /// The last group, which a person types to show that the key was written down.
    #[must_use]
    pub fn last_group(&self) -> &str {
        &self.text()[TEXT - GROUP..]
    }

    fn from_values(values: &Zeroizing<[u8; LETTERS]>) -> Self {
        let mut text = Zeroizing::new([b'-'; TEXT]);
        for (place, value) in values.iter().enumerate() {
            text[place + place / GROUP] = ALPHABET[usize::from(*value)];
        }
        Self { text }
    }
}

impl fmt::Debug for RecoveryKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RecoveryKey")
    }
}

fn separates(letter: char) -> bool {
    letter.is_whitespace() || matches!(letter, '-' | '_' | '.' | ',' | '\u{2010}'..='\u{2015}')
}

fn value(letter: char) -> Option<u8> {
    let letter = match letter.to_ascii_uppercase() {
        '0' => 'O',
        '1' => 'I',
        '8' => 'B',
        other => other,
    };
    let place = ALPHABET
        .iter()
        .position(|known| char::from(*known) == letter)?;
    u8::try_from(place).ok()
}

fn wrong_length(lengths: &[usize], found: usize) -> RecoveryKeyError {
    // Only of use when the groups were typed as groups.
    let odd = lengths.iter().position(|length| *length != GROUP);
    match odd {
        Some(place) if lengths.len() > 1 => RecoveryKeyError::GroupLength {
            group: place + 1,
            found: lengths[place],
        },
        _ => RecoveryKeyError::Length { found },
    }
}

/// The five bits of `bytes` from bit `5 * place` on.
fn five_bits(bytes: &[u8], place: usize) -> u8 {
    let first = place * 5;
    (first..first + 5).fold(0, |value, bit| {
        let one = bytes[bit / 8] >> (7 - bit % 8) & 1;
        value << 1 | one
    })
}

/// The four last letters for the others.
fn sum(values: &Zeroizing<[u8; LETTERS]>) -> [u8; LETTERS - KEY_LETTERS] {
    let mut bytes = Zeroizing::new([0u8; 20]);
    for (place, value) in values[..KEY_LETTERS].iter().enumerate() {
        for bit in 0..5 {
            let to = place * 5 + bit;
            bytes[to / 8] |= (value >> (4 - bit) & 1) << (7 - to % 8);
        }
    }
    let digest = Digest::of(&[bytes.as_slice()]);
    std::array::from_fn(|place| five_bits(digest.as_bytes(), place))
}

/// The group in which changing one letter, or swapping two neighbours, makes the sum
/// right; `None` when no group or several would do. The 20 bits of sum leave about one
/// wrong answer in a thousand, so it is a hint and never a correction.
fn mistyped_group(values: &Zeroizing<[u8; LETTERS]>) -> Option<usize> {
    let right = |values: &Zeroizing<[u8; LETTERS]>| values[KEY_LETTERS..] == sum(values);
    let mut found = None;
    for place in 0..LETTERS {
        let mut changed = values.clone();
        let mut explains = false;
        for value in 0..32 {
            changed[place] = value;
            explains |= right(&changed);
        }
        if place + 1 < LETTERS {
            let mut swapped = values.clone();
            swapped.swap(place, place + 1);
            explains |= right(&swapped);
        }
        if explains {
            let group = place / GROUP + 1;
            if found.is_some_and(|other| other != group) {
                return None;
            }
            found = Some(group);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> RecoveryKey {
        let random = std::array::from_fn(|place| u8::try_from(place * 11 + 3).unwrap());
        RecoveryKey::from_random(&Zeroizing::new(random))
    }

    /// The text against `basenc --base32` and `sha256sum`:
    /// the 20 bytes 03 0e 19 .. d4.
    #[test]
    fn the_text_is_what_standard_tools_compute() {
        assert_eq!(key().text(), "AMHB-SJBP-HJCV-AW3G-OF6I-PEU5-VCZ3-5SOU-C4PQ");
        assert_eq!(key().last_group(), &key().text()[40..]);
    }

    #[test]
    fn is_read_however_it_is_typed() {
        let text = key().text().to_owned();
        let plain = text.replace('-', "");
        for typed in [
            text.clone(),
            text.to_lowercase(),
            plain.clone(),
            text.replace('-', " "),
            text.replace('-', "\u{2013}"),
            format!("  {} \n", text.replacen('-', "", 3)),
            text.replace('O', "0").replace('I', "1").replace('B', "8"),
        ] {
            assert_eq!(RecoveryKey::parse(&typed).unwrap().text(), text, "{typed}");
        }
    }

    #[test]
    fn one_slip_is_found_in_its_group() {
        let text = key().text().to_owned();
        for (place, letter) in text.char_indices().filter(|(_, letter)| *letter != '-') {
            let mut typed = text.clone();
            let other = if letter == 'Q' { "R" } else { "Q" };
            typed.replace_range(place..=place, other);
            let error = RecoveryKey::parse(&typed).unwrap_err();
            let group = place / 5 + 1;
            // A hint may be withheld, but never lead to another group.
            assert!(
                matches!(error, RecoveryKeyError::Mistyped { group: said } if said == group)
                    || error == RecoveryKeyError::Sum,
                "{place}: {error}"
            );
        }
    }

    #[test]
    fn errors_name_the_group() {
        let text = key().text().to_owned();
        let mut typed = text.clone();
        typed.replace_range(11..12, "9");
        assert_eq!(
            RecoveryKey::parse(&typed).unwrap_err(),
            RecoveryKeyError::Letter {
                group: 3,
                letter: '9'
            }
        );
        let unseparated: String = typed.replace('-', "");
        assert_eq!(
            RecoveryKey::parse(&unseparated).unwrap_err(),
            RecoveryKeyError::Letter {
                group: 3,
                letter: '9'
            }
        );
        let mut typed = text.clone();
        typed.remove(5);
        assert_eq!(
            RecoveryKey::parse(&typed).unwrap_err(),
            RecoveryKeyError::GroupLength { group: 2, found: 3 }
        );
        assert_eq!(
            RecoveryKey::parse(&text[..39]).unwrap_err(),
            RecoveryKeyError::Length { found: 32 }
        );
        assert_eq!(
            RecoveryKey::parse(&text.replace('-', "")[1..]).unwrap_err(),
            RecoveryKeyError::Length { found: 35 }
        );
        assert_eq!(
            RecoveryKey::parse(" - ").unwrap_err(),
            RecoveryKeyError::Empty
        );
        assert_eq!(
            RecoveryKey::parse(&"A".repeat(300)).unwrap_err(),
            RecoveryKeyError::TooLong
        );
    }

    #[test]
    fn printing_shows_nothing() {
        assert_eq!(format!("{:?}", key()), "RecoveryKey");
    }
}
