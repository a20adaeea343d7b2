//! Where a stream or the ledger was left: the last record of its newest file.

use std::io::{self, Read};

use bastide_log_format::certificate::Certificate;
use bastide_log_format::digest::Digest;
use bastide_log_format::epoch::Epoch;
use bastide_log_format::kernel::SEQUENCE;
use bastide_log_format::key::PublicKey;
use bastide_log_format::ledger::{LedgerRecord, Says};
use bastide_log_format::line::{LONGEST_LINE, Line};
use bastide_log_format::name::{FileName, StreamName};
use bastide_log_format::record::Record;

use crate::disk::{Disk, Listed};

/// How much of a file is read at a time, in bytes.
const PIECE: usize = 16 * 1024;

/// Where a stream was left.
#[derive(Debug, Clone, Default)]
pub struct Left {
    /// The number of the newest file; 0 when there is none.
    pub part: u32,
    /// The last record; none when there is none.
    pub last: Option<(u64, Digest)>,
    /// The bytes of the newest file up to the last whole record.
    pub size: u64,
    /// Whether the newest file holds anything after it.
    pub torn: bool,
    /// What the ledger's last record says of the boot, the next key and the counter.
    pub ledger: Option<LeftLedger>,
    /// The kernel's number of the last record of its log.
    pub kernel_sequence: Option<u64>,
}

/// Where the ledger was left.
#[derive(Debug, Clone)]
pub struct LeftLedger {
    /// The newest file.
    pub file: FileName,
    /// The boot.
    pub boot: u64,
    /// The key of the next record.
    pub next: PublicKey,
    /// The certificate that its boot began with.
    pub certificate: Option<String>,
    /// The last value of the counter that it accounts for.
    pub counter: u64,
}

/// Reads where a stream was left. `files` are all its files, oldest first.
///
/// # Errors
/// When a file cannot be read.
pub fn left(disk: &impl Disk, stream: &StreamName, files: &[&Listed]) -> io::Result<Left> {
    let mut left = Left {
        part: files.last().map_or(0, |file| file.1.part),
        ..Left::default()
    };
    // A file whose very first record was lost with the power says nothing; the one
    // before it does.
    for file in files.iter().rev() {
        let newest = file.1.part == left.part;
        let mut scan = Scan::new(stream, file.1);
        let mut reader = disk.read(stream, file.1)?;
        let mut piece = vec![0; PIECE];
        loop {
            match reader.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => {
                    if !scan.push(piece.get(..count).unwrap_or_default()) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if newest {
            left.size = scan.size;
            left.torn = scan.size != file.2;
        }
        if scan.last.is_some() {
            left.last = scan.last;
            left.ledger = scan.ledger;
            left.kernel_sequence = scan.kernel_sequence;
            break;
        }
    }
    Ok(left)
}

/// Follows the chain of a file as far as it holds.
struct Scan<'name> {
    stream: &'name StreamName,
    file: FileName,
    partial: Vec<u8>,
    last: Option<(u64, Digest)>,
    size: u64,
    ledger: Option<LeftLedger>,
    kernel_sequence: Option<u64>,
}

impl LeftLedger {
    /// Which TPM counts, as the certificate claims.
    #[must_use]
    pub fn epoch(&self) -> Option<Epoch> {
        let text = self.certificate.as_ref()?;
        let certificate = Certificate::from_hex(text.as_bytes()).ok()?;
        Some(certificate.unverified().epoch)
    }
}

impl<'name> Scan<'name> {
    fn new(stream: &'name StreamName, file: FileName) -> Self {
        Self {
            stream,
            file,
            partial: Vec::new(),
            last: None,
            size: 0,
            ledger: None,
            kernel_sequence: None,
        }
    }

    /// `false`: the chain holds no further.
    fn push(&mut self, bytes: &[u8]) -> bool {
        self.partial.extend_from_slice(bytes);
        let mut begin = 0;
        let partial = std::mem::take(&mut self.partial);
        while let Some(rest) = partial.get(begin..) {
            let Some(length) = rest.iter().position(|byte| *byte == b'\n') else {
                break;
            };
            if !self.line(rest.get(..length).unwrap_or_default()) {
                return false;
            }
            begin += length + 1;
            self.size = self.size.saturating_add(length as u64 + 1);
        }
        self.partial = partial.get(begin..).unwrap_or_default().to_vec();
        self.partial.len() <= LONGEST_LINE
    }

    fn line(&mut self, line: &[u8]) -> bool {
        let Ok(line) = Line::parse(line) else {
            return false;
        };
        let follows = |previous: Option<Digest>| match previous {
            None => false,
            Some(previous) => previous.follow(line.json) == line.hash,
        };
        let before = self.last.map(|(_, head)| head);
        if self.stream.is_ledger() {
            let Ok(record) = LedgerRecord::parse(line.json) else {
                return false;
            };
            let (previous, counter) = match &record.says {
                Says::Start(start) => (before.or(Some(start.previous)), Some(record.boot)),
                Says::Anchor(anchor) => (before, Some(anchor.counter)),
                _ => (before, None),
            };
            if !follows(previous) {
                return false;
            }
            let before = self.ledger.take();
            let so_far = before.as_ref().map(|ledger| ledger.counter);
            let certificate = match record.says {
                Says::Start(start) => start.certificate,
                _ => before.and_then(|ledger| ledger.certificate),
            };
            self.last = Some((record.seq, line.hash));
            self.ledger = Some(LeftLedger {
                file: self.file,
                boot: record.boot,
                next: record.next,
                certificate,
                counter: counter.or(so_far).unwrap_or(record.boot),
            });
        } else {
            let Ok(record) = Record::parse(line.json) else {
                return false;
            };
            let part = record.part.as_ref().map(|part| part.previous);
            if !follows(before.or(part)) {
                return false;
            }
            self.last = Some((record.seq, line.hash));
            let sequence = record
                .entry
                .and_then(|mut entry| entry.fields.remove(SEQUENCE));
            let sequence = sequence.and_then(|text| text.parse().ok());
            self.kernel_sequence = sequence.or(self.kernel_sequence);
        }
        true
    }
}
