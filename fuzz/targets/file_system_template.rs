//! Templates of file systems: signed in practice, bounded all the same.
#![no_main]

use bastide_ext4::{Identity, SUPERBLOCK_SIZE, Template, patch};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(template) = Template::parse(bytes) {
        assert!(template.size() > 0 && template.size() % 4096 == 0);
    }
    let mut superblock = [0; SUPERBLOCK_SIZE];
    let length = bytes.len().min(SUPERBLOCK_SIZE);
    superblock[..length].copy_from_slice(&bytes[..length]);
    let identity = Identity {
        uuid: Default::default(),
        hash_seed: [1; 16],
        label: "fuzz".to_owned(),
        reserved_group: 7,
    };
    if patch(&mut superblock, &identity).is_ok() {
        // The checksum fits again, or it could not be patched twice.
        patch(&mut superblock, &identity).expect("our own");
    }
});
