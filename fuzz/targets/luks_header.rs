//! LUKS2 headers and dm-integrity superblocks, on a disk that anybody may have written.
//! The checksum is made right, as an attacker would.
#![no_main]

use bastide_luks_format::{BINARY_SIZE, Header, IntegritySuperblock, Place};
use libfuzzer_sys::fuzz_target;
use sha2::{Digest, Sha256};

const SIZE: usize = 0x4000;

fuzz_target!(|input: (bool, &[u8], &[u8])| {
    let (secondary, binary, json) = input;
    let _superblock = IntegritySuperblock::parse(binary);
    let place = if secondary {
        Place::Secondary
    } else {
        Place::Primary
    };
    let _raw = Header::parse(binary, place);

    let magic = if secondary {
        b"SKUL\xba\xbe"
    } else {
        b"LUKS\xba\xbe"
    };
    let mut copy = vec![0; SIZE];
    copy[..6].copy_from_slice(magic);
    copy[7] = 2;
    copy[8..16].copy_from_slice(&(SIZE as u64).to_be_bytes());
    copy[72..78].copy_from_slice(b"sha256");
    copy[168..204].copy_from_slice(b"6a5d0f0e-1111-4222-8333-444455556666");
    copy[256..264].copy_from_slice(&place.offset(SIZE as u32).to_be_bytes());
    let label = binary.len().min(47);
    copy[24..24 + label].copy_from_slice(&binary[..label]);
    let length = json.len().min(SIZE - BINARY_SIZE);
    copy[BINARY_SIZE..BINARY_SIZE + length].copy_from_slice(&json[..length]);
    let sum = Sha256::digest(&copy);
    copy[448..480].copy_from_slice(&sum);

    let Ok(header) = Header::parse(&copy, place) else {
        return;
    };
    // What was accepted is written, unless that needs more room, and read as the same.
    if let Ok(written) = header.encode(place) {
        assert_eq!(Header::parse(&written, place).expect("our own"), header);
    }
    let areas = header.areas();
    for (number, keyslot) in header.keyslots() {
        let area = keyslot.area();
        assert!(areas.contains(&area.offset()) && area.offset() + area.size() <= areas.end);
        let _without = header.without_keyslot(number);
    }
    let _cipher = header.segment().expect("validated").cipher();
});
