//! EFI variables: signature databases, the boot loader's times, our failure record.
#![no_main]

use bastide_efi::{
    LONGEST_FAILURE, Variable, decode_failure, encode_failure, parse_signature_lists,
    partition_uuid, time_microseconds,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(variable) = Variable::parse(bytes) else {
        return;
    };
    assert_eq!(variable.to_file(), bytes);
    let _databases = parse_signature_lists(variable.data);
    let _times = time_microseconds(variable.data);
    let _partition = partition_uuid(variable.data);
    let told = decode_failure(variable.data);
    assert!(
        told.chars().all(|letter| !letter.is_control()),
        "a terminal would obey it"
    );
    assert!(encode_failure(&told).len() <= LONGEST_FAILURE);
});
