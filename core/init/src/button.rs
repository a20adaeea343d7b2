//! The power button: the input device that ACPI makes of it.
//!
//! Only that one is listened to. A keyboard with a power key is not: whoever plugs
//! one in is not thereby someone who may stop the machine.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// `struct input_event` on 64-bit machines (linux/input.h): two words of time,
/// then type, code and value.
const EVENT_SIZE: usize = 24;
const EVENT_KEY: u16 = 1;
const KEY_POWER: u16 = 116;
const PRESSED: i32 = 1;

/// A power button.
#[derive(Debug)]
pub struct PowerButton {
    device: File,
}

impl PowerButton {
    /// Opens the power buttons there are; a machine need not have one.
    pub fn all() -> Vec<Self> {
        let Ok(entries) = fs::read_dir("/sys/class/input") else {
            return Vec::new();
        };
        let names = entries
            .filter_map(Result::ok)
            .map(|entry| entry.file_name());
        names
            .filter_map(|name| name.into_string().ok())
            .filter(|name| name.starts_with("event"))
            .filter(|name| {
                let place = Path::new("/sys/class/input").join(name).join("device/phys");
                fs::read_to_string(place).is_ok_and(|place| is_power_button(&place))
            })
            .filter_map(|name| {
                let path = Path::new("/dev/input").join(name);
                let flags = i32::try_from(OFlags::NONBLOCK.bits()).ok()?;
                let device = File::options().read(true).custom_flags(flags).open(path);
                Some(Self {
                    device: device.ok()?,
                })
            })
            .collect()
    }

    /// Whether it was pressed since; `None` when it is gone.
    pub fn pressed(&mut self) -> Option<bool> {
        let mut bytes = [0; EVENT_SIZE * 16];
        match self.device.read(&mut bytes) {
            Ok(0) => None,
            Ok(count) => Some(has_press(bytes.get(..count).unwrap_or_default())),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Some(false),
            Err(error) if error.kind() == ErrorKind::Interrupted => Some(false),
            Err(_) => None,
        }
    }
}

impl AsFd for PowerButton {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// ACPI's fixed power button and its control-method one (drivers/acpi/button.c).
fn is_power_button(place: &str) -> bool {
    place.starts_with("LNXPWRBN/") || place.starts_with("PNP0C0C/")
}

fn has_press(bytes: &[u8]) -> bool {
    let (events, _) = bytes.as_chunks::<EVENT_SIZE>();
    events.iter().any(|event| {
        let kind = u16::from_ne_bytes([event[16], event[17]]);
        let code = u16::from_ne_bytes([event[18], event[19]]);
        let value = i32::from_ne_bytes([event[20], event[21], event[22], event[23]]);
        (kind, code, value) == (EVENT_KEY, KEY_POWER, PRESSED)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u16, code: u16, value: i32) -> Vec<u8> {
        let mut bytes = vec![0xaa; 16];
        bytes.extend(kind.to_ne_bytes());
        bytes.extend(code.to_ne_bytes());
        bytes.extend(value.to_ne_bytes());
        bytes
    }

    #[test]
    fn a_press_is_found_among_other_events() {
        let press = [event(0, 0, 0), event(1, 116, 1)].concat();
        assert!(has_press(&press));
        assert!(!has_press(&press[..40]), "half an event is none");
        assert!(!has_press(&event(1, 116, 0)), "letting go is no press");
        assert!(!has_press(&event(1, 30, 1)), "another key");
        assert!(!has_press(&[]));
    }

    #[test]
    fn keyboards_are_no_power_buttons() {
        assert!(is_power_button("LNXPWRBN/button/input0\n"));
        assert!(is_power_button("PNP0C0C/button/input0\n"));
        assert!(!is_power_button("usb-0000:00:1d.0-1/input0\n"));
    }
}
