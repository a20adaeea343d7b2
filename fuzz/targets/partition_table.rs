//! A GPT partition table, read from a disk that anybody may have written.
#![no_main]

use std::io::Cursor;

use bastide_disk::read_table;
use libfuzzer_sys::fuzz_target;

/// Bytes of a header, and where its fields are (UEFI 2.11, table 5.5).
const HEADER: usize = 92;
const START: usize = 72;
const COUNT: usize = 80;
const SIZE: usize = 84;

fuzz_target!(|input: (bool, bool, Vec<u8>)| {
    let (large, raw, mut disk) = input;
    let block: u16 = if large { 4096 } else { 512 };
    if !raw {
        vouch(&mut disk, usize::from(block));
    }
    for entry in read_table(Cursor::new(disk), u64::from(block))
        .into_iter()
        .flatten()
    {
        assert!(entry.start.checked_add(entry.size).is_some(), "{entry:?}");
    }
});

/// Writes signature and checksums, as an attacker would: without them random bytes get
/// no further than the first look.
fn vouch(disk: &mut [u8], block: usize) {
    let field = |disk: &[u8], at: usize, length: usize| {
        let bytes = disk.get(block + at..block + at + length)?;
        Some(
            bytes
                .iter()
                .rev()
                .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte)),
        )
    };
    let entries = |disk: &[u8]| {
        let start = usize::try_from(field(disk, START, 8)?)
            .ok()?
            .checked_mul(block)?;
        let size = usize::try_from(field(disk, COUNT, 4)? * field(disk, SIZE, 4)?).ok()?;
        Some(crc32fast::hash(disk.get(start..start.checked_add(size)?)?))
    };
    let checksum = entries(disk);
    let Some(header) = disk.get_mut(block..block + HEADER) else {
        return;
    };
    header[..8].copy_from_slice(b"EFI PART");
    header[12..16].copy_from_slice(&92_u32.to_le_bytes());
    header[16..24].fill(0);
    if let Some(checksum) = checksum {
        header[88..92].copy_from_slice(&checksum.to_le_bytes());
    }
    let checksum = crc32fast::hash(header);
    header[16..20].copy_from_slice(&checksum.to_le_bytes());
}
