//! The report the initramfs leaves for PID 1: what reads back writes the same.
#![no_main]

use bastide_boot::BootReport;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(report) = BootReport::from_json(bytes) {
        let written = report.to_json().expect("what was read can be written");
        assert_eq!(
            BootReport::from_json(&written).expect("and read again"),
            report
        );
    }
});
