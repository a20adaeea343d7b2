//! Log files that an attacker wrote: verification and the lines and records in them.
#![no_main]

use bastide_log_format::certificate::Certificate;
use bastide_log_format::ledger::LedgerRecord;
use bastide_log_format::line::Line;
use bastide_log_format::name::{FileName, StreamName};
use bastide_log_format::record::Record;
use bastide_log_format::seal_file::SealFile;
use bastide_log_format::verify::Verifier;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (usize, &[u8])| {
    let (cut, bytes) = input;
    if let Ok(line) = Line::parse(bytes) {
        let mut again = Vec::new();
        line.write(&mut again);
        assert_eq!(again.pop(), Some(b'\n'));
        assert_eq!(again, bytes);
        let _record = Record::parse(line.json);
        let _record = LedgerRecord::parse(line.json);
    }
    let _file = SealFile::parse(bytes);
    if let Ok(certificate) = Certificate::from_hex(bytes) {
        let hex = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        assert_eq!(certificate.to_hex().as_bytes(), hex);
    }
    // Two files of it, in two pieces each.
    let (first, second) = bytes.split_at(cut % (bytes.len() + 1));
    let mut verifier = Verifier::new(None, Some(1)).without();
    verifier.boot_certificate(bytes);
    let kernel = StreamName::new("kernel").expect("a name");
    let name = FileName { part: 1, boot: 1 };
    for stream in [StreamName::ledger(), kernel] {
        verifier.begin(&stream, name).expect("in order");
        verifier.push(first);
        verifier.push(second);
    }
    let report = verifier.finish();
    // Nobody but the log can write a ledger that is one.
    assert!(!report.is_intact() || report.boots > 0);
});
