//! The names of streams and of their files.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::epoch::Epoch;

/// The longest name of a stream, in bytes.
pub const LONGEST_NAME: usize = 48;

/// The stream of anchors, keys and removals.
pub const LEDGER: &str = "ledger";

/// The folder of certificates of boots, beside those of streams.
pub const BOOTS: &str = "boots";

/// The name of a stream: lower-case letters, digits and dashes, first a letter.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamName(String);

/// Why a name is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// It is no name of a stream.
    #[error("a stream's name is 1 to {LONGEST_NAME} lower-case letters, digits and dashes")]
    Stream,
    /// It is no name of a log file.
    #[error("`{0}` is no log file: they are named <boot, 10 digits>-<part, 6 digits>.log")]
    File(String),
}

impl StreamName {
    /// Checks a name.
    ///
    /// # Errors
    /// When it is not of the form above, or [`BOOTS`].
    pub fn new(name: &str) -> Result<Self, NameError> {
        let first = name
            .bytes()
            .next()
            .is_some_and(|byte| byte.is_ascii_lowercase());
        let rest = name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        if first && rest && name.len() <= LONGEST_NAME && name != BOOTS {
            Ok(Self(name.to_owned()))
        } else {
            Err(NameError::Stream)
        }
    }

    /// The ledger.
    #[must_use]
    pub fn ledger() -> Self {
        Self(LEDGER.to_owned())
    }

    /// Whether it is the ledger.
    #[must_use]
    pub fn is_ledger(&self) -> bool {
        self.0 == LEDGER
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Serialize for StreamName {
    fn serialize<Output: Serializer>(&self, output: Output) -> Result<Output::Ok, Output::Error> {
        output.serialize_str(&self.0)
    }
}

impl<'input> Deserialize<'input> for StreamName {
    fn deserialize<Input: Deserializer<'input>>(input: Input) -> Result<Self, Input::Error> {
        let text = String::deserialize(input)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// The name of a file of a stream. Parts count on across boots, so they alone give the
/// order: a boot's number goes back when the machine gets another TPM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileName {
    /// Which file of the stream, from 1.
    pub part: u32,
    /// The boot in which it was begun.
    pub boot: u64,
}

impl FileName {
    /// Reads a name.
    ///
    /// # Errors
    /// When it is none of a log file.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        let parse = || {
            let (boot, part) = name.strip_suffix(".log")?.split_once('-')?;
            let found = Self {
                boot: boot.parse().ok()?,
                part: part.parse().ok()?,
            };
            // One spelling only, so that no file can be there twice.
            (found.part > 0 && found.to_string() == name).then_some(found)
        };
        parse().ok_or_else(|| NameError::File(name.chars().take(64).collect()))
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:010}-{:06}.log", self.boot, self.part)
    }
}

/// The name of the file in [`BOOTS`] with the certificate of a boot: what tells a boot
/// that ended before its log began from one whose log was taken away.
#[must_use]
pub fn boot_file(epoch: Epoch, boot: u64) -> String {
    format!("{boot:010}-{}.boot", epoch.short())
}

/// Whether a file in [`BOOTS`] is named as a certificate is.
#[must_use]
pub fn is_boot_file(name: &str) -> bool {
    let parts = name
        .strip_suffix(".boot")
        .and_then(|name| name.split_once('-'));
    parts.is_some_and(|(boot, epoch)| {
        (10..=20).contains(&boot.len())
            && boot.bytes().all(|byte| byte.is_ascii_digit())
            && epoch.len() == 8
            && epoch.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_of_two_epochs_do_not_collide() {
        let [one, other] = [Epoch::new([1; 16]), Epoch::new([2; 16])];
        assert_eq!(boot_file(one, 7), "0000000007-01010101.boot");
        assert_ne!(boot_file(one, 7), boot_file(other, 7));
        assert!(is_boot_file(&boot_file(other, u64::MAX)));
        for bad in [
            "0000000007.boot",
            "7-01010101.boot",
            "../0000000007-01010101.boot",
            "",
        ] {
            assert!(!is_boot_file(bad), "{bad}");
        }
    }

    #[test]
    fn names_are_what_they_say() {
        for good in ["kernel", "console-serial", "a1"] {
            assert_eq!(StreamName::new(good).unwrap().as_str(), good);
        }
        for bad in ["", "1a", "-a", "A", "a/b", "..", "a.b", "boots", "é"] {
            assert!(StreamName::new(bad).is_err(), "{bad}");
        }
        assert!(StreamName::new(&"a".repeat(LONGEST_NAME + 1)).is_err());
        let name = FileName { part: 7, boot: 42 };
        assert_eq!(name.to_string(), "0000000042-000007.log");
        assert_eq!(FileName::parse("0000000042-000007.log"), Ok(name));
        for bad in [
            "42-7.log",
            "0000000042-000000.log",
            "0000000042-0000007.log",
            "+000000042-000007.log",
            "0000000042-000007.lo",
            "",
        ] {
            assert!(FileName::parse(bad).is_err(), "{bad}");
        }
    }
}
