//! The kernel's command line, as anybody in front of the machine may try to write it.
#![no_main]

use bastide_boot::CommandLine;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if CommandLine::parse(bytes).is_ok() {
        assert_eq!(
            bytes
                .windows(13)
                .filter(|window| window == b"bastide.core=")
                .count(),
            1,
            "accepted with more than one Core"
        );
    }
});
