//! The kernel command line, of which Bastide owns every word that starts with
//! `bastide.`.

use crate::{GeometryError, HashOffset, RootHash, RootHashError};

/// Longest command line the kernel hands over on x86-64, in bytes
/// (`COMMAND_LINE_SIZE` minus its terminator).
pub const LONGEST_COMMAND_LINE: usize = 2047;

const PREFIX: &str = "bastide.";

/// What the initramfs does once it has refused to boot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum OnFailure {
    /// Power off after a few seconds: nobody may be watching.
    #[default]
    PowerOff,
    /// Wait for a key, then reboot: somebody is watching.
    Wait,
}

/// What a person must do with the recovery key that the first boot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryKey {
    /// Type its last group before the machine goes on.
    Confirmed,
    /// Nothing; the machine goes on by itself after a while.
    Shown,
}

/// What the command line tells Bastide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandLine {
    /// `bastide.core=`: root hash of the Core to boot.
    pub core: RootHash,
    /// `bastide.hash-offset=`: where the hash area starts in the Core, in bytes.
    pub hash_offset: HashOffset,
    /// `bastide.on-failure=power-off|wait`.
    pub on_failure: OnFailure,
    /// `bastide.release=`: the number of the release, which never goes back.
    pub release: u64,
    /// `bastide.recovery-key=confirmed|shown`.
    pub recovery_key: RecoveryKey,
}

/// Why a command line is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommandLineError {
    /// More bytes than the kernel can hand over.
    #[error("command line has {0} bytes, more than {LONGEST_COMMAND_LINE}")]
    TooLong(usize),
    /// A control or non-ASCII byte, or a quote: words would be ambiguous.
    #[error("command line has byte 0x{byte:02x} at {position}")]
    Byte {
        /// The refused byte.
        byte: u8,
        /// Its place, counted from 0.
        position: usize,
    },
    /// A word in our name space that nothing reads.
    #[error("unknown word {0}")]
    Unknown(String),
    /// A word of ours given twice.
    #[error("{0} given twice")]
    Duplicate(&'static str),
    /// A word of ours that must be there.
    #[error("{0} missing")]
    Missing(&'static str),
    /// `bastide.core` holds no root hash.
    #[error("bad bastide.core")]
    Core(#[from] RootHashError),
    /// A value that should be a decimal number of at most 20 digits is none.
    #[error("{0} is no decimal number")]
    Number(&'static str),
    /// `bastide.hash-offset` is a number that cannot be an offset.
    #[error("bad bastide.hash-offset")]
    HashOffset(#[from] GeometryError),
    /// `bastide.on-failure` holds another word.
    #[error("bastide.on-failure is neither power-off nor wait")]
    OnFailure,
    /// `bastide.recovery-key` holds another word.
    #[error("bastide.recovery-key is neither confirmed nor shown")]
    RecoveryKey,
}

impl CommandLine {
    /// Reads a whole command line; words of others are passed over.
    ///
    /// # Errors
    /// Anything in Bastide's name space that is unknown, missing, doubled or badly
    /// written, and bytes that would leave the splitting into words open.
    pub fn parse(line: &[u8]) -> Result<Self, CommandLineError> {
        let mut core = None;
        let mut hash_offset = None;
        let mut on_failure = None;
        let mut release = None;
        let mut recovery_key = None;
        for word in words(line)? {
            let Some(ours) = word.strip_prefix(PREFIX) else {
                continue;
            };
            match ours.split_once('=') {
                Some(("core", value)) => set(&mut core, value.parse()?, "bastide.core")?,
                Some(("hash-offset", value)) => set(
                    &mut hash_offset,
                    HashOffset::from_bytes(decimal(value, "bastide.hash-offset")?)?,
                    "bastide.hash-offset",
                )?,
                Some(("release", value)) => set(
                    &mut release,
                    decimal(value, "bastide.release")?,
                    "bastide.release",
                )?,
                Some(("recovery-key", value)) => set(
                    &mut recovery_key,
                    RecoveryKey::parse(value)?,
                    "bastide.recovery-key",
                )?,
                Some(("on-failure", value)) => set(
                    &mut on_failure,
                    OnFailure::parse(value)?,
                    "bastide.on-failure",
                )?,
                _ => return Err(CommandLineError::Unknown(word.to_owned())),
            }
        }
        Ok(Self {
            core: core.ok_or(CommandLineError::Missing("bastide.core"))?,
            hash_offset: hash_offset.ok_or(CommandLineError::Missing("bastide.hash-offset"))?,
            on_failure: on_failure.ok_or(CommandLineError::Missing("bastide.on-failure"))?,
            release: release.ok_or(CommandLineError::Missing("bastide.release"))?,
            recovery_key: recovery_key.ok_or(CommandLineError::Missing("bastide.recovery-key"))?,
        })
    }
}

impl OnFailure {
    fn parse(value: &str) -> Result<Self, CommandLineError> {
        match value {
            "power-off" => Ok(Self::PowerOff),
            "wait" => Ok(Self::Wait),
            _ => Err(CommandLineError::OnFailure),
        }
    }
}

impl RecoveryKey {
    fn parse(value: &str) -> Result<Self, CommandLineError> {
        match value {
            "confirmed" => Ok(Self::Confirmed),
            "shown" => Ok(Self::Shown),
            _ => Err(CommandLineError::RecoveryKey),
        }
    }
}

fn words(line: &[u8]) -> Result<impl Iterator<Item = &str>, CommandLineError> {
    let line = line.trim_ascii_end();
    if line.len() > LONGEST_COMMAND_LINE {
        return Err(CommandLineError::TooLong(line.len()));
    }
    // The kernel lets quotes join words; no word of ours needs them.
    if let Some(position) = line
        .iter()
        .position(|byte| !matches!(byte, b' '..=b'~') || *byte == b'"')
    {
        return Err(CommandLineError::Byte {
            byte: line[position],
            position,
        });
    }
    let text = std::str::from_utf8(line).map_err(|error| CommandLineError::Byte {
        byte: line[error.valid_up_to()],
        position: error.valid_up_to(),
    })?;
    Ok(text.split(' ').filter(|word| !word.is_empty()))
}

fn set<T>(place: &mut Option<T>, value: T, name: &'static str) -> Result<(), CommandLineError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(CommandLineError::Duplicate(name)),
    }
}

fn decimal(text: &str, name: &'static str) -> Result<u64, CommandLineError> {
    // `u64::from_str` would accept a leading plus sign.
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(CommandLineError::Number(name));
    }
    text.parse().map_err(|_| CommandLineError::Number(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0ed089cb79cc78921980e514a87d5f226ba458b5ac2236adfb2bfbdf3bbf5eab";

    fn good() -> String {
        format!(
            "console=tty0 console=ttyS0,115200 bastide.core={HASH} bastide.hash-offset=12288000 \
             bastide.on-failure=wait bastide.release=1000 bastide.recovery-key=shown \
             lockdown=confidentiality loglevel=4\n"
        )
    }

    #[test]
    fn a_good_line_is_read() {
        let line = CommandLine::parse(good().as_bytes()).unwrap();
        assert_eq!(line.core.to_string(), HASH);
        assert_eq!(line.hash_offset.bytes(), 12_288_000);
        assert_eq!(line.on_failure, OnFailure::Wait);
        assert_eq!(line.release, 1000);
        assert_eq!(line.recovery_key, RecoveryKey::Shown);
    }

    #[track_caller]
    fn refused(line: &str) -> CommandLineError {
        CommandLine::parse(line.as_bytes()).unwrap_err()
    }

    #[test]
    fn unknown_words_of_ours_are_refused() {
        for word in [
            "bastide.shell",
            "bastide.debug=1",
            "bastide.core",
            "bastide.",
            "bastide.hash_offset=4096",
        ] {
            assert_eq!(
                refused(&format!("{} {word}", good().trim_end())),
                CommandLineError::Unknown(word.to_owned())
            );
        }
    }

    #[test]
    fn doubled_words_are_refused() {
        for word in [
            "bastide.on-failure=wait".to_owned(),
            format!("bastide.core={HASH}"),
            "bastide.hash-offset=12288000".to_owned(),
        ] {
            assert!(matches!(
                refused(&format!("{word} {}", good())),
                CommandLineError::Duplicate(_)
            ));
        }
    }

    #[test]
    fn missing_words_are_refused() {
        assert_eq!(refused(""), CommandLineError::Missing("bastide.core"));
        assert_eq!(
            refused(&good().replace("bastide.hash-offset=12288000", "")),
            CommandLineError::Missing("bastide.hash-offset")
        );
        assert_eq!(
            refused(&good().replace("bastide.on-failure=wait", "")),
            CommandLineError::Missing("bastide.on-failure")
        );
    }

    #[test]
    fn bad_values_are_refused() {
        assert!(matches!(
            refused(&good().replace("0ed0", "0Ed0")),
            CommandLineError::Core(RootHashError::Digit(1))
        ));
        for number in ["", "+4096", "-1", "0x1000", "18446744073709551616"] {
            assert_eq!(
                refused(&good().replace("12288000", number)),
                CommandLineError::Number("bastide.hash-offset")
            );
        }
        assert!(matches!(
            refused(&good().replace("12288000", "12288001")),
            CommandLineError::HashOffset(GeometryError::Unaligned(_))
        ));
        assert_eq!(
            refused(&good().replace("=wait", "=shell")),
            CommandLineError::OnFailure
        );
        assert_eq!(
            refused(&good().replace("=shown", "=lost")),
            CommandLineError::RecoveryKey
        );
        assert_eq!(
            refused(&good().replace("release=1000", "release=1.0")),
            CommandLineError::Number("bastide.release")
        );
    }

    #[test]
    fn ambiguous_bytes_are_refused() {
        for byte in ["\"", "\t", "\u{e9}", "\0", "\x1b", "\n"] {
            assert!(matches!(
                refused(&format!("a{byte}b {}", good())),
                CommandLineError::Byte { position: 1, .. }
            ));
        }
        assert!(matches!(
            refused(&"a ".repeat(2000)),
            CommandLineError::TooLong(3999)
        ));
    }
}
