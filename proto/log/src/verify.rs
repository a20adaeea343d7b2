//! Verification: what of the log is as it was written, and what is not.
//!
//! The caller hands in the certificates in `boots`, then every file, the ledger's
//! first and each stream's in the order of its parts ([`order`] sorts them), in pieces
//! of any size. It needs nothing but the root's public key and, to find a tail that
//! was cut or a disk that was put back, the present value of the TPM's counter.
//!
//! What is found: any change, removal, reordering or insertion of records up to a
//! stream's last seal; a tail that was cut before what an anchor names; files and
//! boots that are missing. What is only said: what follows the last seal (at most what
//! came within a second, or since a crash) is chained, so that a slip shows but a
//! forger is not stopped; and a running system's tail since its last anchor can be
//! cut by whoever has taken the log's own process over, which shows as a restart.

mod ledger;
mod report;
mod stream;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::certificate::Certificate;
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::key::PublicKey;
use crate::line::LONGEST_LINE;
use crate::name::{FileName, StreamName};

pub use report::{Finding, Report, StreamSummary, What};

use ledger::LedgerCheck;
use report::Place;
use stream::StreamCheck;

/// A file came in the wrong order.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{stream}/{file} comes too late: first the ledger, then stream by stream, part by part")]
pub struct OrderError {
    stream: StreamName,
    file: FileName,
}

/// Sorts files into the order that [`Verifier`] takes them in.
pub fn order(files: &mut [(StreamName, FileName)]) {
    files.sort_by(|one, other| {
        let key = |file: &(StreamName, FileName)| (!file.0.is_ledger(), file.0.clone(), file.1);
        key(one).cmp(&key(other))
    });
}

/// How far the ledger says that a stream had come, and its key from there on if the
/// ledger gives it a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Known {
    seq: u64,
    head: Digest,
    key: Option<PublicKey>,
}

/// What the ledger says of each stream, in its order.
type Pins = BTreeMap<StreamName, VecDeque<Known>>;

/// Boots for which `boots` holds a certificate of the root.
#[derive(Debug, Default)]
struct Boots(BTreeSet<(Epoch, u64)>);

impl Boots {
    /// Whether each of these boots is certified: they ended before their log began.
    fn has_all(&self, epoch: Option<Epoch>, boots: impl IntoIterator<Item = u64>) -> bool {
        let has = |boot| epoch.is_some_and(|epoch| self.0.contains(&(epoch, boot)));
        boots.into_iter().all(has)
    }
}

/// Verifies a log.
#[derive(Debug)]
pub struct Verifier {
    root: Option<PublicKey>,
    counter: Option<u64>,
    /// What of the two is missing is missing for a reason that the caller knows.
    partial: bool,
    report: Report,
    boots: Boots,
    ledger: LedgerCheck,
    pins: Pins,
    stream: Option<StreamCheck>,
    seen: BTreeSet<StreamName>,
    file: Option<OpenFile>,
}

#[derive(Debug)]
struct OpenFile {
    stream: StreamName,
    name: FileName,
    line: u64,
    /// The beginning of a line whose end has not come yet.
    partial: Vec<u8>,
    /// The line is longer than any: the rest is passed over.
    skipping: bool,
}

impl Verifier {
    /// Begins. Without the root's key, nothing shows who sealed the log; without the
    /// counter, a tail cut at a seal or a disk put back is not found. Either is a
    /// problem: a verdict without evidence is none.
    #[must_use]
    pub fn new(root: Option<PublicKey>, counter: Option<u64>) -> Self {
        Self {
            root,
            counter,
            partial: false,
            report: Report::default(),
            boots: Boots::default(),
            ledger: LedgerCheck::default(),
            pins: Pins::new(),
            stream: None,
            seen: BTreeSet::new(),
            file: None,
        }
    }

    /// Verifies without the root's key or the counter, where they are not given: that is
    /// a note then, and whoever asked must be told what was not looked at
    /// ([`Report::unchecked`]).
    #[must_use]
    pub fn without(mut self) -> Self {
        self.partial = true;
        self
    }

    /// Takes the content of a file in `boots`. One that is not signed is no evidence,
    /// and no problem either: everybody can write such a thing.
    pub fn boot_certificate(&mut self, content: &[u8]) {
        if let Some(root) = &self.root
            && let Ok(claim) =
                Certificate::from_hex(content).and_then(|certificate| certificate.verify(root))
        {
            self.boots.0.insert((claim.epoch, claim.boot));
        }
    }

    /// Begins a file; the one before it ends.
    ///
    /// # Errors
    /// When it comes in the wrong order; nothing has changed then.
    pub fn begin(&mut self, stream: &StreamName, name: FileName) -> Result<(), OrderError> {
        let late = OrderError {
            stream: stream.clone(),
            file: name,
        };
        if let Some(open) = &self.file {
            let goes_on = open.stream == *stream;
            if goes_on && open.name >= name || !goes_on && self.seen.contains(stream) {
                return Err(late);
            }
        }
        if stream.is_ledger() && self.seen.iter().any(|seen| !seen.is_ledger()) {
            return Err(late);
        }
        self.end_file();
        if self.seen.insert(stream.clone()) {
            self.end_stream();
            if !stream.is_ledger() {
                let pins = self.pins.remove(stream).unwrap_or_default();
                let rotated = self.ledger.is_rotated();
                self.stream = Some(StreamCheck::new(stream.clone(), pins, rotated));
            }
        }
        match &mut self.stream {
            Some(check) => check.begin(),
            None => self.ledger.begin(),
        }
        self.file = Some(OpenFile {
            stream: stream.clone(),
            name,
            line: 0,
            partial: Vec::new(),
            skipping: false,
        });
        self.report.files = self.report.files.saturating_add(1);
        Ok(())
    }

    /// Takes the next bytes of the file.
    pub fn push(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (piece, after) = rest.split_at(end);
            rest = after.get(1..).unwrap_or_default();
            self.line(piece);
        }
        if let Some(file) = &mut self.file {
            file.partial.extend_from_slice(rest);
            if file.partial.len() > LONGEST_LINE {
                file.skipping = true;
                // Enough is left for the line to be refused as too long.
                file.partial.truncate(LONGEST_LINE + 1);
            }
        }
    }

    /// Ends: what there is to say.
    pub fn finish(mut self) -> Report {
        self.end_file();
        self.end_stream();
        self.ledger
            .finish(self.counter, &self.boots, &mut self.report);
        let missing = [
            (self.root.is_none(), What::NoRoot),
            (self.counter.is_none(), What::NoCounter),
        ];
        for (_, what) in missing.into_iter().filter(|(missing, _)| *missing) {
            if self.partial {
                self.report.unchecked.push(what.clone());
                self.report.note(Place::default(), what);
            } else {
                self.report.problem(Place::default(), what);
            }
        }
        for (stream, known) in &self.pins {
            if let Some(last) = known
                .iter()
                .map(|known| known.seq)
                .max()
                .filter(|last| *last > 0)
            {
                let place = Place::of_stream(stream);
                self.report.problem(place, What::StreamMissing { last });
            }
        }
        self.report
    }

    /// A line, whose last piece this is.
    fn line(&mut self, piece: &[u8]) {
        let Some(file) = &mut self.file else {
            return;
        };
        file.line = file.line.saturating_add(1);
        let partial = std::mem::take(&mut file.partial);
        file.skipping = false;
        let whole;
        let line = if partial.is_empty() {
            piece
        } else {
            let room = (LONGEST_LINE + 1).saturating_sub(partial.len());
            whole = [&partial[..], piece.get(..room).unwrap_or(piece)].concat();
            &whole
        };
        let place = Place::of_line(&file.stream, file.name, file.line);
        self.report.bytes = self.report.bytes.saturating_add(line.len() as u64 + 1);
        match &mut self.stream {
            Some(check) => check.line(line, file.name, place, &mut self.report),
            None => self.ledger.line(
                line,
                file.name,
                place,
                self.root.as_ref(),
                &self.boots,
                &mut self.pins,
                &mut self.report,
            ),
        }
    }

    fn end_file(&mut self) {
        let Some(file) = self.file.take() else {
            return;
        };
        if !file.partial.is_empty() {
            let place = Place::of_line(&file.stream, file.name, file.line.saturating_add(1));
            let bytes = file.partial.len() as u64;
            self.report.note(place, What::Torn { bytes });
        }
        if file.line == 0 {
            let place = Place::of_line(&file.stream, file.name, 1);
            self.report.note(place, What::Empty);
        }
    }

    fn end_stream(&mut self) {
        if let Some(check) = self.stream.take() {
            check.finish(&mut self.report);
        }
    }
}
