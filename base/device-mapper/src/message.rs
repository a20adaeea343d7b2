//! Messages to and from the device mapper (`struct dm_ioctl` and
//! `struct dm_target_spec` of `linux/dm-ioctl.h`), as bytes.

use bastide_disk::DeviceNumber;
use bastide_sys::device_mapper::{DATA_SIZE_OFFSET, HEADER_SIZE};

use crate::MapperError;

const DATA_START_OFFSET: usize = 16;
const TARGET_COUNT_OFFSET: usize = 20;
const FLAGS_OFFSET: usize = 28;
const DEVICE_OFFSET: usize = 40;
const NAME: std::ops::Range<usize> = 48..176;
const UUID: std::ops::Range<usize> = 176..305;

const READ_ONLY: u32 = 1 << 0;
const BUFFER_FULL: u32 = 1 << 8;

/// Start, length, status, offset of the next, type.
const TARGET_SIZE: usize = 8 + 8 + 4 + 4 + 16;

/// Room for answers: one target with its status.
const ROOM: usize = 4096;

/// A message; the kernel's answer replaces it.
#[derive(Debug)]
pub struct Message {
    bytes: Vec<u8>,
}

impl Message {
    /// A message about the device of a name.
    pub fn new(name: &str) -> Result<Self, MapperError> {
        let mut message = Self {
            bytes: vec![0; HEADER_SIZE],
        };
        // Version 4.0.0 is understood by every kernel that speaks version 4.
        message.put(0, 4);
        message.put(DATA_SIZE_OFFSET, HEADER_SIZE as u32);
        message.put(DATA_START_OFFSET, HEADER_SIZE as u32);
        message.text(NAME, name)?;
        Ok(message)
    }

    /// Gives the device a UUID when it is made.
    pub fn uuid(mut self, uuid: &str) -> Result<Self, MapperError> {
        self.text(UUID, uuid)?;
        Ok(self)
    }

    /// Makes the table read-only.
    pub fn read_only(mut self) -> Self {
        self.put(FLAGS_OFFSET, READ_ONLY);
        self
    }

    /// Appends the only target of a table, from sector 0.
    pub fn target(
        mut self,
        kind: &str,
        sectors: u64,
        parameters: &str,
    ) -> Result<Self, MapperError> {
        if parameters.contains('\0') {
            return Err(MapperError::Message);
        }
        let size = (TARGET_SIZE + parameters.len() + 1).next_multiple_of(8);
        let mut target = vec![0; size];
        target[8..16].copy_from_slice(&sectors.to_le_bytes());
        let next = u32::try_from(size).map_err(|_| MapperError::Message)?;
        target[20..24].copy_from_slice(&next.to_le_bytes());
        put_text(&mut target[24..TARGET_SIZE], kind)?;
        target[TARGET_SIZE..TARGET_SIZE + parameters.len()].copy_from_slice(parameters.as_bytes());
        self.bytes.extend(target);
        self.put(TARGET_COUNT_OFFSET, 1);
        self.sized()
    }

    /// Leaves room for an answer with a target.
    pub fn with_room(mut self) -> Result<Self, MapperError> {
        self.bytes.resize(HEADER_SIZE + ROOM, 0);
        self.sized()
    }

    /// The bytes to hand to the kernel.
    pub fn buffer(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// Number of the device in the kernel's answer.
    pub fn device(&self) -> DeviceNumber {
        // As `new_encode_dev()` of the kernel spreads it.
        let device = self.get(DEVICE_OFFSET);
        DeviceNumber {
            major: (device >> 8) & 0xfff,
            minor: (device & 0xff) | ((device >> 12) & 0xf_ff00),
        }
    }

    /// The status text in the kernel's answer, where it has a single target of that
    /// type.
    pub fn only_target(&self, kind: &str) -> Option<&str> {
        if self.get(FLAGS_OFFSET) & BUFFER_FULL != 0 || self.get(TARGET_COUNT_OFFSET) != 1 {
            return None;
        }
        let start = usize::try_from(self.get(DATA_START_OFFSET)).ok()?;
        let (target, text) = self.bytes.get(start..)?.split_at_checked(TARGET_SIZE)?;
        (until_nul(&target[24..])? == kind)
            .then(|| until_nul(text))
            .flatten()
    }

    fn sized(mut self) -> Result<Self, MapperError> {
        let size = u32::try_from(self.bytes.len()).map_err(|_| MapperError::Message)?;
        self.put(DATA_SIZE_OFFSET, size);
        Ok(self)
    }

    fn text(&mut self, place: std::ops::Range<usize>, text: &str) -> Result<(), MapperError> {
        put_text(&mut self.bytes[place], text)
    }

    fn put(&mut self, position: usize, value: u32) {
        self.bytes[position..position + 4].copy_from_slice(&value.to_le_bytes());
    }

    fn get(&self, position: usize) -> u32 {
        let mut word = [0; 4];
        word.copy_from_slice(&self.bytes[position..position + 4]);
        u32::from_le_bytes(word)
    }
}

fn put_text(place: &mut [u8], text: &str) -> Result<(), MapperError> {
    // One byte stays zero, for the end.
    if text.len() >= place.len() || text.is_empty() || text.contains('\0') {
        return Err(MapperError::Message);
    }
    place[..text.len()].copy_from_slice(text.as_bytes());
    Ok(())
}

fn until_nul(bytes: &[u8]) -> Option<&str> {
    let end = bytes.iter().position(|byte| *byte == 0)?;
    std::str::from_utf8(&bytes[..end]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_tell_their_size() {
        let sizes = [
            Message::new("core").unwrap(),
            Message::new("core").unwrap().with_room().unwrap(),
            Message::new("core")
                .unwrap()
                .target("verity", 8, "1 a b")
                .unwrap(),
        ]
        .map(|mut message| {
            let told = message.get(DATA_SIZE_OFFSET) as usize;
            assert_eq!(told, message.buffer().len());
            told
        });
        assert_eq!(sizes, [312, 312 + 4096, 312 + 48]);
    }

    #[test]
    fn names_that_do_not_fit_are_refused() {
        for name in ["", &"x".repeat(128), "a\0b"] {
            assert!(matches!(Message::new(name), Err(MapperError::Message)));
        }
        assert!(Message::new(&"x".repeat(127)).is_ok());
        assert!(
            Message::new("core")
                .unwrap()
                .uuid(&"x".repeat(129))
                .is_err()
        );
        for (kind, parameters) in [("crypt", "a\0b"), ("", "a"), (&"x".repeat(16), "a")] {
            let message = Message::new("core").unwrap();
            assert!(message.target(kind, 8, parameters).is_err());
        }
    }

    #[test]
    fn numbers_above_a_byte_are_put_together() {
        let mut message = Message::new("core").unwrap();
        message.put(DEVICE_OFFSET, 0xfd07);
        assert_eq!(message.device().to_string(), "253:7");
        message.put(DEVICE_OFFSET, 0x0010_fd01);
        assert_eq!(message.device().to_string(), "253:257");
    }

    fn answer(count: u32, flags: u32, kind: &[u8], text: &[u8]) -> Message {
        let mut message = Message::new("core").unwrap().with_room().unwrap();
        message.put(TARGET_COUNT_OFFSET, count);
        message.put(FLAGS_OFFSET, flags);
        let target = HEADER_SIZE + 24;
        message.bytes[target..target + kind.len()].copy_from_slice(kind);
        let start = HEADER_SIZE + TARGET_SIZE;
        message.bytes[start..start + text.len()].copy_from_slice(text);
        message
    }

    #[test]
    fn only_whole_answers_of_the_right_target_are_read() {
        assert_eq!(
            answer(1, 0, b"verity", b"V 3\0").only_target("verity"),
            Some("V 3")
        );
        assert_eq!(answer(0, 0, b"verity", b"V\0").only_target("verity"), None);
        assert_eq!(answer(2, 0, b"verity", b"V\0").only_target("verity"), None);
        assert_eq!(
            answer(1, BUFFER_FULL, b"verity", b"V\0").only_target("verity"),
            None
        );
        assert_eq!(answer(1, 0, b"linear", b"V\0").only_target("verity"), None);
        assert_eq!(
            answer(1, 0, &[b'v'; 16], b"V\0").only_target("verity"),
            None
        );
        let mut beyond = answer(1, 0, b"verity", b"V\0");
        beyond.put(DATA_START_OFFSET, u32::MAX);
        assert_eq!(beyond.only_target("verity"), None);
    }
}
