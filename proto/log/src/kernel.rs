//! Records of /dev/kmsg (Documentation/ABI/testing/dev-kmsg of the kernel).
//!
//! `PRIORITY,SEQUENCE,TIME,FLAGS[,...];MESSAGE\n` and lines ` KEY=VALUE\n`, bytes that
//! are not printable written `\xNN`. Processes that may open the device can write to it;
//! the kernel gives such records another facility than its own.

use crate::entry::{LONGEST_FIELD, LONGEST_MESSAGE, Priority, Said};
use crate::text::lossy;

/// The largest record that a read gives, in bytes (`PRINTK_MESSAGE_MAX` and some).
pub const LONGEST: usize = 8 * 1024;

/// The name of the field with [`KernelRecord::sequence`].
pub const SEQUENCE: &str = "kernel_sequence";

/// A record of the kernel's log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KernelRecord {
    /// The kernel's own number; one that is left out is a record lost.
    pub sequence: u64,
    /// What it says; the kernel's own time, in microseconds, is the field `kernel_time`.
    pub said: Said,
}

/// A record that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a record of the kernel's log is not understood")]
pub struct NoRecord;

/// Reads a record.
///
/// # Errors
/// When it is none.
pub fn parse(bytes: &[u8]) -> Result<KernelRecord, NoRecord> {
    let semicolon = bytes
        .iter()
        .position(|byte| *byte == b';')
        .ok_or(NoRecord)?;
    let (prefix, text) = bytes.split_at(semicolon);
    let text = text.get(1..).unwrap_or_default();
    let prefix = std::str::from_utf8(prefix).map_err(|_| NoRecord)?;
    let mut numbers = prefix.split(',');
    let priority: u32 = number(numbers.next())?;
    let sequence: u64 = number(numbers.next())?;
    let time: u64 = number(numbers.next())?;

    let mut lines = text.split(|byte| *byte == b'\n');
    let message = unescape(lines.next().unwrap_or_default());
    let (message, cut) = lossy(&message, LONGEST_MESSAGE);
    let mut said = Said::new(Priority::of_syslog(priority), message);
    said.cut = cut;
    said.facility = u8::try_from(priority >> 3)
        .ok()
        .filter(|facility| *facility < 24);
    said.field(SEQUENCE, &sequence.to_string());
    said.field("kernel_time", &time.to_string());
    for line in lines {
        let Some(pair) = line.strip_prefix(b" ") else {
            continue;
        };
        let (pair, _) = lossy(&unescape(pair), LONGEST_FIELD);
        if let Some((name, value)) = pair.split_once('=') {
            said.field(name, value);
        }
    }
    Ok(KernelRecord { sequence, said })
}

fn number<Number: std::str::FromStr>(text: Option<&str>) -> Result<Number, NoRecord> {
    let text = text.ok_or(NoRecord)?;
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits {
        return Err(NoRecord);
    }
    text.parse().map_err(|_| NoRecord)
}

fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        let escaped = after.strip_prefix(b"x").and_then(|digits| {
            let (digits, after) = digits.split_first_chunk::<2>()?;
            let mut value = [0];
            hex::decode_to_slice(digits, &mut value).ok()?;
            Some((value, after))
        });
        match escaped {
            Some(([value], after)) if *byte == b'\\' => {
                text.push(value);
                rest = after;
            }
            _ => {
                text.push(*byte);
                rest = after;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_kernel_are_read() {
        let record = parse(
            b"7,160,424069,-;pci_root PNP0A03:00: host bridge window \\x5bio  0x0000\\x5c]\n SUBSYSTEM=acpi\n DEVICE=+acpi:PNP0A03:00\n",
        )
        .unwrap();
        assert_eq!(record.sequence, 160);
        assert_eq!(record.said.priority.number(), 7);
        assert_eq!(record.said.facility, Some(0));
        assert_eq!(
            record.said.message,
            "pci_root PNP0A03:00: host bridge window [io  0x0000\\]"
        );
        assert_eq!(record.said.fields["SUBSYSTEM"], "acpi");
        assert_eq!(record.said.fields["kernel_time"], "424069");
        let record = parse(b"12,1,2,-,caller=T1;from user space").unwrap();
        assert_eq!(record.said.facility, Some(1));
        assert_eq!(record.said.message, "from user space");
    }

    #[test]
    fn anything_else_is_none() {
        for bytes in [
            &b""[..],
            b";",
            b"1,2;x",
            b"a,1,2;x",
            b"1,-2,3;x",
            b"\xff,1,2;x",
            b"1,2,3",
        ] {
            assert_eq!(parse(bytes), Err(NoRecord), "{bytes:?}");
        }
        assert_eq!(
            parse(b"1,2,3;\\x\\xz1\\x4").unwrap().said.message,
            "\\x\\xz1\\x4"
        );
    }
}
