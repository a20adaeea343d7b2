//! What the boot loader tells the system (systemd's Boot Loader Interface): numbers
//! and identifiers as UTF-16 text.

use uuid::{Uuid, uuid};

use crate::VariableName;

const LOADER: Uuid = uuid!("4a67b082-0a4c-41cf-b6c7-440b29bb8c4f");

/// When the boot loader started, in microseconds of the firmware's counter.
pub const LOADER_TIME_INIT: VariableName = VariableName {
    name: "LoaderTimeInitUSec",
    vendor: LOADER,
};

/// When the boot loader started the kernel bundle, in the same count.
pub const LOADER_TIME_EXEC: VariableName = VariableName {
    name: "LoaderTimeExecUSec",
    vendor: LOADER,
};

/// UUID of the partition the boot loader came from.
pub const LOADER_DEVICE_PART_UUID: VariableName = VariableName {
    name: "LoaderDevicePartUUID",
    vendor: LOADER,
};

/// Longest text read, in UTF-16 units without the end marker: a UUID has 36.
const LONGEST: usize = 36;

/// Why a boot loader variable is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LoaderError {
    /// Not UTF-16 of plain ASCII of at most 36 characters.
    #[error("boot loader variable holds no short text")]
    Text,
    /// Not a decimal number.
    #[error("boot loader variable holds no number")]
    Number,
    /// Not a UUID.
    #[error("boot loader variable holds no UUID")]
    Uuid,
}

/// The number of microseconds that a variable's data tells.
///
/// # Errors
/// Anything but a decimal number in UTF-16.
pub fn time_microseconds(data: &[u8]) -> Result<u64, LoaderError> {
    let text = ascii(data)?;
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(LoaderError::Number);
    }
    text.parse().map_err(|_| LoaderError::Number)
}

/// The UUID that a variable's data tells, whichever the case of its letters.
///
/// # Errors
/// Anything but a hyphenated UUID in UTF-16.
pub fn partition_uuid(data: &[u8]) -> Result<Uuid, LoaderError> {
    let text = ascii(data)?;
    if text.len() != LONGEST {
        return Err(LoaderError::Uuid);
    }
    Uuid::try_parse(&text).map_err(|_| LoaderError::Uuid)
}

fn ascii(data: &[u8]) -> Result<String, LoaderError> {
    let (units, rest) = data.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(LoaderError::Text);
    }
    let units = match units {
        [text @ .., [0, 0]] => text,
        text => text,
    };
    if units.len() > LONGEST {
        return Err(LoaderError::Text);
    }
    units
        .iter()
        .map(|unit| match unit {
            [byte @ b'!'..=b'~', 0] => Ok(char::from(*byte)),
            _ => Err(LoaderError::Text),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn utf16(text: &str) -> Vec<u8> {
        text.encode_utf16().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn times_are_read_with_and_without_end_marker() {
        assert_eq!(time_microseconds(&utf16("8123456\0")), Ok(8_123_456));
        assert_eq!(time_microseconds(&utf16("8123456")), Ok(8_123_456));
    }

    #[test]
    fn bad_times_are_refused() {
        for text in ["", "\0", "+1", "-1", "1 ", "0x1"] {
            assert!(time_microseconds(&utf16(text)).is_err(), "{text:?}");
        }
        assert_eq!(
            time_microseconds(&utf16("18446744073709551616")),
            Err(LoaderError::Number)
        );
        assert_eq!(time_microseconds(b"1"), Err(LoaderError::Text));
        assert_eq!(
            time_microseconds(&utf16(&"1".repeat(37))),
            Err(LoaderError::Text)
        );
        assert_eq!(time_microseconds(&[0x31, 1]), Err(LoaderError::Text));
    }

    #[test]
    fn partition_uuids_are_read() {
        let text = "6A5D0F0E-1111-4222-8333-444455556666";
        assert_eq!(
            partition_uuid(&utf16(&format!("{text}\0"))),
            Ok(uuid!("6a5d0f0e-1111-4222-8333-444455556666"))
        );
        assert_eq!(partition_uuid(&utf16("6a5d")), Err(LoaderError::Uuid));
        assert_eq!(
            partition_uuid(&utf16(&text.replace('6', "g"))),
            Err(LoaderError::Uuid)
        );
    }
}
