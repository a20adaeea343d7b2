//! Messages of the journal socket: journald's native protocol
//! (<https://systemd.io/JOURNAL_NATIVE_PROTOCOL/>).
//!
//! `NAME=value\n`, or `NAME\n`, a length (64 bits, little endian), that many bytes and
//! `\n`; an empty line ends an entry. A message that is too long for a datagram comes
//! as a sealed file in memory, which its reader hands in here all the same.

use crate::entry::{LONGEST_FIELD, LONGEST_FIELD_NAME, LONGEST_MESSAGE, Priority, Said};
use crate::text::lossy;

/// The largest message read, in bytes, datagram or file.
pub const LONGEST: usize = 128 * 1024;

/// Most entries in one message.
pub const MOST_ENTRIES: usize = 128;

/// Why a message, or the rest of one, is not understood. Entries before it count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// Longer than any that is read.
    #[error("a journal message is longer than {LONGEST} bytes")]
    TooLong,
    /// More entries than are read.
    #[error("a journal message holds more than {MOST_ENTRIES} entries")]
    TooMany,
    /// It ends within a field.
    #[error("a journal message ends within a field")]
    Truncated,
}

/// Reads a message and hands out its entries.
///
/// # Errors
/// When it cannot be read to its end.
pub fn parse(bytes: &[u8], mut each: impl FnMut(Said)) -> Result<(), JournalError> {
    if bytes.len() > LONGEST {
        return Err(JournalError::TooLong);
    }
    let mut entries = 0_usize;
    let mut entry = Gathered::default();
    let mut rest = bytes;
    while let Some((field, after)) = next(rest)? {
        rest = after;
        match field {
            Some((name, value)) => entry.take(name, value),
            None => entry.finish(&mut entries, &mut each)?,
        }
    }
    entry.finish(&mut entries, &mut each)
}

type Field<'bytes> = Option<(&'bytes [u8], &'bytes [u8])>;

/// The next field, or the empty line that ends an entry, and what follows.
fn next(bytes: &[u8]) -> Result<Option<(Field<'_>, &[u8])>, JournalError> {
    if bytes.is_empty() {
        return Ok(None);
    }
    // The last field may lack its newline, as it may with journald.
    let end = bytes.iter().position(|byte| *byte == b'\n');
    let (line, rest) = bytes.split_at(end.unwrap_or(bytes.len()));
    let rest = rest.get(1..).unwrap_or_default();
    if line.is_empty() {
        return Ok(Some((None, rest)));
    }
    if let Some(equals) = line.iter().position(|byte| *byte == b'=') {
        let (name, value) = line.split_at(equals);
        let value = value.get(1..).unwrap_or_default();
        return Ok(Some((Some((name, value)), rest)));
    }
    let (length, rest) = rest
        .split_first_chunk::<8>()
        .ok_or(JournalError::Truncated)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).ok();
    let (value, rest) = length
        .and_then(|length| rest.split_at_checked(length))
        .ok_or(JournalError::Truncated)?;
    let rest = match rest.split_first() {
        None => rest,
        Some((b'\n', rest)) => rest,
        Some(_) => return Err(JournalError::Truncated),
    };
    Ok(Some((Some((line, value)), rest)))
}

/// What an entry has had so far.
#[derive(Default)]
struct Gathered {
    said: Option<Said>,
}

impl Gathered {
    fn take(&mut self, name: &[u8], value: &[u8]) {
        // Fields that begin with an underscore are what journald itself vouches for;
        // a sender has no say in them.
        let Some(name) = valid_name(name) else {
            return;
        };
        let said = self
            .said
            .get_or_insert_with(|| Said::new(Priority::INFORMATION, String::new()));
        match name {
            "MESSAGE" => {
                let (message, cut) = lossy(value, LONGEST_MESSAGE);
                said.message = message;
                said.cut |= cut;
            }
            "PRIORITY" => {
                if let [digit @ b'0'..=b'7'] = value {
                    said.priority = Priority::of_syslog(u32::from(*digit));
                }
            }
            "SYSLOG_FACILITY" => {
                let facility = std::str::from_utf8(value)
                    .ok()
                    .and_then(|text| text.parse().ok());
                said.facility = facility.filter(|facility| *facility < 24);
            }
            name => {
                let (value, cut) = lossy(value, LONGEST_FIELD);
                said.cut |= cut;
                said.field(name, &value);
            }
        }
    }

    fn finish(
        &mut self,
        entries: &mut usize,
        each: &mut impl FnMut(Said),
    ) -> Result<(), JournalError> {
        if let Some(said) = self.said.take() {
            if *entries >= MOST_ENTRIES {
                return Err(JournalError::TooMany);
            }
            *entries += 1;
            each(said);
        }
        Ok(())
    }
}

fn valid_name(name: &[u8]) -> Option<&str> {
    let first = name.first().is_some_and(u8::is_ascii_uppercase);
    let rest = name
        .iter()
        .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || *byte == b'_');
    if first && rest && name.len() <= LONGEST_FIELD_NAME {
        std::str::from_utf8(name).ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> (Vec<Said>, Result<(), JournalError>) {
        let mut entries = Vec::new();
        let result = parse(bytes, |said| entries.push(said));
        (entries, result)
    }

    #[test]
    fn both_forms_of_a_field_are_read() {
        let mut bytes = b"PRIORITY=3\nMESSAGE\n".to_vec();
        bytes.extend(11_u64.to_le_bytes());
        bytes.extend(b"two\nlines=1\nSYSLOG_FACILITY=4\n_PID=1\nCODE_LINE=7\nlower=1");
        let (entries, result) = all(&bytes);
        assert_eq!(result, Ok(()));
        let [said] = entries.try_into().unwrap();
        assert_eq!(said.message, "two\nlines=1");
        assert_eq!((said.priority, said.facility), (Priority::ERROR, Some(4)));
        assert_eq!(said.fields.len(), 1);
        assert_eq!(said.fields["CODE_LINE"], "7");
    }

    #[test]
    fn entries_are_apart_and_counted() {
        let (entries, result) = all(b"\n\nMESSAGE=a\n\n\nMESSAGE=b\n");
        assert_eq!(result, Ok(()));
        let messages: Vec<&str> = entries.iter().map(|said| said.message.as_str()).collect();
        assert_eq!(messages, ["a", "b"]);
        let (entries, result) = all(&b"MESSAGE=a\n\n".repeat(MOST_ENTRIES + 1));
        assert_eq!(
            (entries.len(), result),
            (MOST_ENTRIES, Err(JournalError::TooMany))
        );
    }

    #[test]
    fn lengths_that_lie_end_the_message() {
        for length in [4, 1000, u64::MAX, u64::MAX / 2] {
            let mut bytes = b"MESSAGE=kept\n\nMESSAGE\n".to_vec();
            bytes.extend(length.to_le_bytes());
            bytes.extend(b"abc");
            let (entries, result) = all(&bytes);
            assert_eq!((entries.len(), result), (1, Err(JournalError::Truncated)));
        }
        assert_eq!(all(b"MESSAGE").1, Err(JournalError::Truncated));
        assert_eq!(all(&vec![b'\n'; LONGEST + 1]).1, Err(JournalError::TooLong));
    }

    #[test]
    fn what_is_too_much_is_cut() {
        let mut bytes = b"MESSAGE=".to_vec();
        bytes.extend(vec![b'x'; LONGEST_MESSAGE + 1]);
        for index in 0..100 {
            bytes.extend(format!("\nF{index}=1").into_bytes());
        }
        let (entries, _) = all(&bytes);
        let [said] = entries.try_into().unwrap();
        assert!(said.cut);
        assert_eq!(said.message.len(), LONGEST_MESSAGE);
        assert_eq!(said.fields.len(), crate::entry::MOST_FIELDS);
    }
}
