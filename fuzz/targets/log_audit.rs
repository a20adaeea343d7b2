//! Messages of the kernel's audit: the entry is bounded.
#![no_main]

use bastide_log_format::audit;
use bastide_log_format::entry::{ALL_FIELDS, Kind, LONGEST_MESSAGE, MOST_FIELDS, Said, Source};
use libfuzzer_sys::fuzz_target;

fn check(said: Said) {
    let source = Source {
        kind: Kind::Log,
        name: String::new(),
        uid: None,
        pid: None,
    };
    let entry = said.by(source);
    let fields = entry.fields.iter();
    let bytes: usize = fields.map(|(name, value)| name.len() + value.len()).sum();
    assert!(entry.message.len() <= LONGEST_MESSAGE);
    assert!(entry.fields.len() <= MOST_FIELDS && bytes <= ALL_FIELDS);
}

fuzz_target!(|bytes: &[u8]| {
    if let Ok(Some(said)) = audit::parse(bytes) {
        check(said);
    }
});
