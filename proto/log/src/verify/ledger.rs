//! The ledger's part of verification: keys, boots and the counter.

use std::collections::BTreeMap;

use crate::certificate::Claim;
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::key::PublicKey;
use crate::ledger::{LedgerRecord, LedgerRemoval, Says, Start};
use crate::line::{Line, check};
use crate::name::{FileName, StreamName};

use super::report::{Place, Report, What};
use super::{Boots, Known, Pins};

/// Missing steps looked at one by one; a gap that is wider is a problem as a whole.
const WIDEST_GAP: u64 = 10_000;

/// Where the check of the ledger has come to.
#[derive(Debug, Default)]
pub(super) struct LedgerCheck {
    /// The next line is the first of its file.
    first_line: bool,
    seq: u64,
    head: Option<Digest>,
    key: Option<PublicKey>,
    boot: Option<u64>,
    /// Which TPM counts. A boot that nobody certified passes for one of the TPM before.
    epoch: Option<Epoch>,
    /// Each TPM counts for itself, also when it comes back.
    counters: BTreeMap<Option<Epoch>, Counter>,
    /// What the oldest record there is follows, when it is not the first ever.
    begins: Option<Beginning>,
    /// The record of the removal of what came before it.
    removal: Option<LedgerRemoval>,
    stopped: bool,
}

/// The steps of the counter as the ledger accounts for them.
#[derive(Debug, Default)]
struct Counter {
    last: Option<u64>,
    /// The last step is an anchor's: written down, and perhaps never made.
    promised: bool,
}

/// The oldest record there is.
#[derive(Debug, Clone)]
struct Beginning {
    place: Place,
    seq: u64,
    previous: Digest,
    boot: u64,
    epoch: Option<Epoch>,
    claim: Option<Claim>,
}

impl LedgerCheck {
    /// Whether the oldest file left is not the first ever.
    pub(super) fn is_rotated(&self) -> bool {
        self.begins.is_some()
    }

    /// A file begins.
    pub(super) fn begin(&mut self) {
        self.first_line = true;
    }

    /// A line.
    #[expect(
        clippy::too_many_arguments,
        reason = "the verifier's parts, borrowed one by one because it holds this as well"
    )]
    pub(super) fn line(
        &mut self,
        line: &[u8],
        file: FileName,
        place: Place,
        root: Option<&PublicKey>,
        boots: &Boots,
        pins: &mut Pins,
        report: &mut Report,
    ) {
        let first_line = std::mem::replace(&mut self.first_line, false);
        let line = match Line::parse(line) {
            Ok(line) => line,
            Err(error) => {
                self.lost();
                return report.problem(place, What::Line(error));
            }
        };
        let Ok(record) = LedgerRecord::parse(line.json) else {
            self.lost();
            self.head = Some(line.hash);
            return report.problem(place, What::Record);
        };
        let place = place.at(record.seq);
        let start = match &record.says {
            Says::Start(start) => Some(start),
            _ => None,
        };
        if start.is_some() != first_line {
            report.problem(place.clone(), What::Beginning);
        }
        self.chain(&line, &record, start, &place, report);
        if let Some(start) = start {
            self.start(start, &record, file, &place, root, boots, report);
        } else if self.boot != Some(record.boot) {
            let expected = self.boot.unwrap_or(file.boot);
            let found = record.boot;
            report.problem(place.clone(), What::Boot { expected, found });
        }
        self.signature(&line, &place, report);
        self.key = Some(record.next);
        self.says(&record, &place, boots, pins, report);
    }

    /// A line that is none: what comes is no longer known to follow.
    fn lost(&mut self) {
        self.head = None;
        self.seq = self.seq.saturating_add(1);
    }

    /// Hash and number.
    fn chain(
        &mut self,
        line: &Line<'_>,
        record: &LedgerRecord,
        start: Option<&Start>,
        place: &Place,
        report: &mut Report,
    ) {
        let before = match (self.head, start) {
            (Some(head), Some(start)) if start.previous != head => {
                report.problem(place.clone(), What::Gap);
                Some(start.previous)
            }
            (head, start) => head.or(start.map(|start| start.previous)),
        };
        if before.is_some_and(|before| before.follow(line.json) != line.hash) {
            report.problem(place.clone(), What::Hash);
        }
        self.head = Some(line.hash);
        let expected = self.seq.saturating_add(1);
        let begins = self.boot.is_none() && start.is_some();
        if record.seq != expected && !begins {
            let found = record.seq;
            report.problem(place.clone(), What::Sequence { expected, found });
        }
        self.seq = record.seq;
    }

    /// The first record of a boot.
    #[expect(clippy::too_many_arguments, reason = "as for `line`")]
    fn start(
        &mut self,
        start: &Start,
        record: &LedgerRecord,
        file: FileName,
        place: &Place,
        root: Option<&PublicKey>,
        boots: &Boots,
        report: &mut Report,
    ) {
        let boot = record.boot;
        if file.boot != boot {
            let expected = file.boot;
            let found = boot;
            report.problem(place.clone(), What::Boot { expected, found });
        }
        if file.part != start.part {
            let stream = StreamName::ledger();
            let part = start.part;
            report.problem(place.clone(), What::OtherFile { stream, part });
        }
        if let Some(before) = self.boot
            && !self.stopped
        {
            report.note(place.clone(), What::NotClosed { boot: before });
        }
        self.key = Some(start.key);
        let claim = self.certificate(start, boot, place, root, report);
        let before = self.epoch;
        self.epoch = epoch_of(start, claim, root).or(before);
        let epoch = self.epoch;
        match self.boot {
            None if record.seq == 1 && start.previous == Digest::genesis(&StreamName::ledger()) => {
                if root.is_none() {
                    report.note(place.clone(), What::Begins { boot });
                } else if begins_with(boot, claim, place, boots, report) {
                    report.note(place.clone(), What::BeginsWithTpm { boot });
                }
            }
            None => {
                self.begins = Some(Beginning {
                    place: place.clone(),
                    seq: record.seq,
                    previous: start.previous,
                    boot,
                    epoch,
                    claim,
                });
            }
            Some(_) => {
                if epoch != before {
                    report.note(place.clone(), What::OtherTpm { boot });
                }
                match self.counters.get(&epoch) {
                    Some(counter) => counter.step(boot, epoch, place, boots, report),
                    None => {
                        begins_with(boot, claim, place, boots, report);
                    }
                }
            }
        }
        self.counts(boot, false);
        self.boot = Some(boot);
        self.stopped = false;
        report.boots = report.boots.saturating_add(1);
    }

    /// The ledger accounts for the counter up to here.
    fn counts(&mut self, value: u64, promised: bool) {
        let last = Some(value);
        self.counters.insert(self.epoch, Counter { last, promised });
    }

    /// Checks the root's word.
    fn certificate(
        &self,
        start: &Start,
        boot: u64,
        place: &Place,
        root: Option<&PublicKey>,
        report: &mut Report,
    ) -> Option<Claim> {
        let root = root?;
        let claim = match start.certificate() {
            Ok(None) => {
                report.problem(place.clone(), What::NotCertified { boot });
                return None;
            }
            Ok(Some(certificate)) => certificate.verify(root),
            Err(error) => Err(error),
        };
        match claim {
            Ok(claim) if claim.boot == boot && claim.key == start.key => Some(claim),
            Ok(claim) => {
                let certified = claim.boot;
                report.problem(place.clone(), What::OtherCertificate { certified, boot });
                None
            }
            Err(error) => {
                report.problem(place.clone(), What::Certificate(error));
                None
            }
        }
    }

    fn signature(&self, line: &Line<'_>, place: &Place, report: &mut Report) {
        let Some(signature) = &line.signature else {
            return report.problem(place.clone(), What::SignatureForm);
        };
        let Some(key) = &self.key else {
            return report.problem(place.clone(), What::NoKey);
        };
        if check(key, &StreamName::ledger(), &line.hash, signature).is_err() {
            report.problem(place.clone(), What::Signature);
        }
    }

    fn says(
        &mut self,
        record: &LedgerRecord,
        place: &Place,
        boots: &Boots,
        pins: &mut Pins,
        report: &mut Report,
    ) {
        for pin in record.says.pins() {
            let key = match &record.says {
                Says::Stream(registration) => Some(registration.key),
                _ => None,
            };
            pins.entry(pin.stream.clone())
                .or_default()
                .push_back(Known {
                    seq: pin.seq,
                    head: pin.head,
                    key,
                });
        }
        match &record.says {
            Says::Anchor(anchor) => {
                report.anchors = report.anchors.saturating_add(1);
                if let Some(counter) = self.counters.get(&self.epoch) {
                    counter.step(anchor.counter, self.epoch, place, boots, report);
                }
                self.counts(anchor.counter, true);
            }
            Says::Restart {} => report.note(place.clone(), What::Restarted),
            Says::Removal(removal) => {
                let fits = self.begins.as_ref().is_some_and(|begins| {
                    removal.last.checked_add(1) == Some(begins.seq)
                        && removal.head == begins.previous
                });
                if fits {
                    self.removal = Some(removal.clone());
                }
            }
            Says::Start(_) | Says::Stream(_) | Says::Pin { .. } | Says::Stop {} => {}
        }
        self.stopped = matches!(record.says, Says::Stop {});
    }

    /// Ends the whole.
    pub(super) fn finish(mut self, now: Option<u64>, boots: &Boots, report: &mut Report) {
        let epoch = self.epoch;
        let counter = self.counters.remove(&epoch).unwrap_or_default();
        report.counter = counter.last;
        report.closed = self.stopped;
        let Some(known) = counter.last else {
            return report.problem(Place::default(), What::NoLedger);
        };
        if let Some(begins) = self.begins.take() {
            self.removed_before(begins, boots, report);
        }
        let place = Place::of_stream(&StreamName::ledger());
        match now {
            None => {}
            Some(now) if now == known => {}
            Some(now) if counter.promised && now.checked_add(1) == Some(known) => {
                report.note(place, What::Promised { counter: known });
            }
            Some(now) if now < known => report.problem(place, What::Behind { now, known }),
            Some(now) => {
                let gap = known.saturating_add(1)..=now;
                if now - known <= WIDEST_GAP && boots.has_all(epoch, gap.clone()) {
                    for boot in gap {
                        report.note(place.clone(), What::Unlogged { boot });
                    }
                } else {
                    report.problem(place, What::Ahead { now, known });
                }
            }
        }
    }

    /// The ledger's oldest files are gone: a record must say so.
    fn removed_before(&self, begins: Beginning, boots: &Boots, report: &mut Report) {
        let first = begins.seq;
        match &self.removal {
            Some(removal) => {
                let Beginning { place, boot, .. } = begins;
                report.note(place.clone(), What::Rotated { first });
                if removal.epoch == begins.epoch {
                    let counter = Counter {
                        last: Some(removal.counter),
                        promised: true,
                    };
                    counter.step(boot, begins.epoch, &place, boots, report);
                } else {
                    report.note(place.clone(), What::OtherTpm { boot });
                    begins_with(boot, begins.claim, &place, boots, report);
                }
            }
            None => report.problem(begins.place, What::Missing { first }),
        }
    }
}

/// Which TPM counted a boot. Without the root's key, its word is taken as it stands.
fn epoch_of(start: &Start, claim: Option<Claim>, root: Option<&PublicKey>) -> Option<Epoch> {
    let unverified = || {
        let certificate = start.certificate().ok().flatten()?;
        Some(*certificate.unverified())
    };
    let claim = if root.is_some() { claim } else { unverified() };
    claim.map(|claim| claim.epoch)
}

/// Compares the first boot of a TPM that has a log with the first that it counted:
/// `true` when nothing is missing. Without a claim, that has been found fault with.
fn begins_with(
    boot: u64,
    claim: Option<Claim>,
    place: &Place,
    boots: &Boots,
    report: &mut Report,
) -> bool {
    let Some(Claim { first, epoch, .. }) = claim else {
        return false;
    };
    if first == 0 {
        report.problem(place.clone(), What::Begins { boot });
        return false;
    }
    let far = boot.checked_sub(first).is_none_or(|gap| gap > WIDEST_GAP);
    if far || !boots.has_all(Some(epoch), first..boot) {
        report.problem(place.clone(), What::LateBeginning { boot, first });
        return false;
    }
    for boot in first..boot {
        report.note(place.clone(), What::Unlogged { boot });
    }
    true
}

impl Counter {
    /// Checks that a step follows the last one.
    fn step(
        &self,
        value: u64,
        epoch: Option<Epoch>,
        place: &Place,
        boots: &Boots,
        report: &mut Report,
    ) {
        let Some(last) = self.last else {
            return;
        };
        let next = last.saturating_add(1);
        if value == next {
        } else if value == last && self.promised {
            report.note(place.clone(), What::Promised { counter: last });
        } else if value <= last {
            let (from, to) = (last, value);
            report.problem(place.clone(), What::Back { from, to });
        } else if value - last <= WIDEST_GAP && boots.has_all(epoch, next..value) {
            for boot in next..value {
                report.note(place.clone(), What::Unlogged { boot });
            }
        } else {
            let (from, to) = (next, value - 1);
            report.problem(place.clone(), What::Unaccounted { from, to });
        }
    }
}
