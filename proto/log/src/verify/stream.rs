//! A stream's part of verification: chain, seals, and what the ledger knows of it.

use std::collections::VecDeque;

use crate::digest::Digest;
use crate::key::PublicKey;
use crate::line::{Line, check};
use crate::name::{FileName, StreamName};
use crate::record::{Part, Record, Removal, Seal};

use super::Known;
use super::report::{Place, Report, StreamSummary, What};

/// Where the check of a stream has come to.
#[derive(Debug)]
pub(super) struct StreamCheck {
    stream: StreamName,
    /// What the ledger knows and has not been come to yet.
    pins: VecDeque<Known>,
    /// The next line is the first of its file.
    first_line: bool,
    /// Nothing has been read yet.
    fresh: bool,
    seq: u64,
    head: Option<Digest>,
    key: Option<PublicKey>,
    /// Up to this record the stream is of boots whose ledger made room: a file's own word
    /// names its key, and what the oldest ledger left knows of the record vouches for
    /// all of them by way of the hashes.
    old: u64,
    /// The ledger has vouched for a record that is there, or for the one before.
    vouched: bool,
    begins: Option<(Place, u64, Digest)>,
    /// A record says that what came before the first file was removed.
    removed: bool,
    records: u64,
    first: u64,
    chained_only: u64,
}

impl StreamCheck {
    /// `rotated`: the ledger's oldest files are gone.
    pub(super) fn new(stream: StreamName, pins: VecDeque<Known>, rotated: bool) -> Self {
        let oldest = pins.front().filter(|_| rotated);
        Self {
            stream,
            old: oldest.map_or(0, |known| known.seq),
            pins,
            first_line: true,
            fresh: true,
            seq: 0,
            head: None,
            key: None,
            vouched: false,
            begins: None,
            removed: false,
            records: 0,
            first: 0,
            chained_only: 0,
        }
    }

    /// A file begins.
    pub(super) fn begin(&mut self) {
        self.first_line = true;
    }

    /// A line.
    pub(super) fn line(&mut self, line: &[u8], file: FileName, place: Place, report: &mut Report) {
        let first_line = std::mem::replace(&mut self.first_line, false);
        let line = match Line::parse(line) {
            Ok(line) => line,
            Err(error) => {
                self.lost(None, &place, report);
                return report.problem(place, What::Line(error));
            }
        };
        let Ok(record) = Record::parse(line.json) else {
            self.lost(Some(line.hash), &place, report);
            return report.problem(place, What::Record);
        };
        let place = place.at(record.seq);
        if record.part.is_some() != first_line {
            report.problem(place.clone(), What::Beginning);
        }
        if let Some(part) = &record.part {
            self.part(part, record.seq, file, &place, report);
        }
        if self
            .head
            .is_some_and(|head| head.follow(line.json) != line.hash)
        {
            report.problem(place.clone(), What::Hash);
        }
        let expected = self.seq.saturating_add(1);
        if record.seq != expected && !std::mem::replace(&mut self.fresh, false) {
            let found = record.seq;
            report.problem(place.clone(), What::Sequence { expected, found });
        }
        self.fresh = false;
        if record.boot != file.boot {
            let (expected, found) = (file.boot, record.boot);
            report.problem(place.clone(), What::Boot { expected, found });
        }
        self.seq = record.seq;
        self.head = Some(line.hash);
        self.records = self.records.saturating_add(1);
        self.chained_only = self.chained_only.saturating_add(1);
        match (&record.seal, &line.signature) {
            (Some(seal), Some(_)) => self.seal(seal, &line, &place, report),
            (None, None) => {}
            _ => report.problem(place.clone(), What::SignatureForm),
        }
        if let Some(removal) = record.removal {
            self.removed |= self.follows(&removal);
        }
        self.meet_pins(&place, report);
    }

    /// A line that is none: what comes is no longer known to follow.
    fn lost(&mut self, head: Option<Digest>, place: &Place, report: &mut Report) {
        self.seq = self.seq.saturating_add(1);
        self.head = head;
        self.records = self.records.saturating_add(1);
        self.meet_pins(place, report);
    }

    /// The first record of a file.
    fn part(&mut self, part: &Part, seq: u64, file: FileName, place: &Place, report: &mut Report) {
        if part.stream != self.stream || part.number != file.part {
            let stream = part.stream.clone();
            let part = part.number;
            report.problem(place.clone(), What::OtherFile { stream, part });
        }
        if self.fresh {
            self.first = seq;
            self.seq = seq.saturating_sub(1);
            let beginning = Digest::genesis(&self.stream);
            if self.seq == 0 && part.previous != beginning {
                report.problem(place.clone(), What::Gap);
            }
            if self.seq > 0 {
                self.begins = Some((place.clone(), seq, part.previous));
            }
            self.head = Some(part.previous);
            // What the ledger knew of records that are gone is of no more use.
            let before = self.seq;
            let gone = self
                .pins
                .iter()
                .take_while(|known| known.seq < before)
                .count();
            self.pins.drain(..gone);
            self.meet_pins(place, report);
            // Until the ledger vouches for what follows, the file's own word has to do.
            self.key.get_or_insert(part.key);
        } else if self.head.is_some_and(|head| head != part.previous) {
            report.problem(place.clone(), What::Gap);
            self.head = Some(part.previous);
        }
        self.head.get_or_insert(part.previous);
        if self.key != Some(part.key) && seq <= self.old {
            self.key = Some(part.key);
        }
        if self.key != Some(part.key) {
            report.problem(place.clone(), What::OtherKey);
        }
    }

    /// Whether the first file that is there follows what a record says was removed.
    fn follows(&self, removal: &Removal) -> bool {
        self.begins.as_ref().is_some_and(|(_, first, previous)| {
            removal.last.checked_add(1) == Some(*first) && removal.head == *previous
        })
    }

    fn seal(&mut self, seal: &Seal, line: &Line<'_>, place: &Place, report: &mut Report) {
        let verdict = match (&self.key, &line.signature) {
            (Some(key), Some(signature)) => {
                check(key, &self.stream, &line.hash, signature).map_err(|_| What::Signature)
            }
            _ => Err(What::NoKey),
        };
        match verdict {
            Ok(()) => self.chained_only = 0,
            Err(what) => report.problem(place.clone(), what),
        }
        self.key = Some(seal.next);
    }

    /// Compares with what the ledger knows of the last record read.
    fn meet_pins(&mut self, place: &Place, report: &mut Report) {
        while let Some(known) = self.pins.front().copied() {
            if known.seq > self.seq {
                return;
            }
            self.pins.pop_front();
            // One that is behind can only come when the ledger itself goes back.
            if known.seq < self.seq || self.head.is_some_and(|head| head != known.head) {
                report.problem(place.clone(), What::Replaced);
            } else {
                self.vouched = true;
                self.chained_only = 0;
            }
            if let Some(key) = known.key {
                self.key = Some(key);
            }
        }
    }

    /// Ends the stream.
    pub(super) fn finish(mut self, report: &mut Report) {
        let place = Place::of_stream(&self.stream);
        if self.records == 0 {
            // A crash came between the stream's file and its first record: it is as the
            // ledger knows a stream that has none.
            self.head = Some(Digest::genesis(&self.stream));
            self.meet_pins(&place, report);
        }
        if let Some((place, first, _)) = self.begins {
            if self.removed {
                report.note(place, What::Rotated { first });
            } else {
                report.problem(place, What::Missing { first });
            }
        }
        let last = self.seq;
        if let Some(known) = self.pins.iter().map(|known| known.seq).max() {
            report.problem(place.at(last), What::Cut { last, known });
        } else if !self.vouched {
            report.problem(place.clone(), What::Unknown);
        }
        if self.chained_only > 0 {
            let count = self.chained_only;
            report.note(place.at(last), What::ChainedOnly { count });
        }
        report.streams.push(StreamSummary {
            name: self.stream,
            records: self.records,
            first: self.first,
            last,
            chained_only: self.chained_only,
        });
    }
}
