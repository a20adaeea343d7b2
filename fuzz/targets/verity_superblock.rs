//! The dm-verity superblock, read from a disk that anybody may have written.
#![no_main]

use bastide_boot::{Geometry, HashOffset, Superblock};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u64, &[u8])| {
    let (offset, bytes) = input;
    if let Ok(offset) = HashOffset::from_bytes(offset) {
        // Whatever was accepted, the geometry must have come out without overflow.
        let geometry = Geometry::new(offset);
        assert!(geometry.size() > geometry.fec_offset());
        let _verdict = Superblock::parse(bytes, &geometry);
    }
});
