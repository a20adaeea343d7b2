//! Making room: the oldest file of whoever takes most goes first.

use std::io::{self, Read};

use anyhow::{Context, Result};
use bastide_log_format::digest::Digest;
use bastide_log_format::entry::Priority;
use bastide_log_format::ledger::{LedgerRemoval, Pin, Says};
use bastide_log_format::line::{LONGEST_LINE, Line};
use bastide_log_format::name::{FileName, StreamName};
use bastide_log_format::record::{Body, Record, Removal, RemovalReason, Stamp};

use crate::disk::Disk;
use crate::resume::left;

use super::{Kept, Store, is_full_disk};

/// A file counts as at least this much: many small ones are a burden as well.
const SMALLEST: u64 = 32 * 1024;

/// Files that one turn removes.
const TURN: usize = 8;

/// How full the disk is, in steps that are told once.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tide {
    /// Below 90 %.
    #[default]
    Low,
    /// From 90 %.
    High,
    /// From 95 %.
    Higher,
}

/// What is set aside for the record of a removal on a full disk.
#[derive(Debug, Default)]
pub struct Reserve {
    /// It is there.
    whole: bool,
    /// When setting it aside failed last: once a turn is enough.
    failed_at: Option<u64>,
}

/// A file that had to go before a record could say so.
#[derive(Debug)]
pub struct Unrecorded {
    stream: StreamName,
    removal: Removal,
}

/// What a file costs.
fn cost(kept: &Kept) -> u64 {
    kept.size.max(SMALLEST)
}

impl<Medium: Disk> Store<Medium> {
    /// What all streams take, in bytes, the ledger left out.
    pub(super) fn total(&self) -> u64 {
        let streams = self.files.iter().filter(|(name, _)| !name.is_ledger());
        streams.flat_map(|(_, files)| files).map(cost).sum()
    }

    /// Keeps the log within its bounds.
    pub(super) fn make_room(&mut self, stamp: Stamp) {
        for _ in 0..TURN {
            if self.total() <= self.settings.bound {
                break;
            }
            let Some(stream) = self.largest() else {
                break;
            };
            if let Err(error) = self.remove_oldest(&stream, RemovalReason::Bound, stamp) {
                self.facts.failed(&format!("cannot make room: {error:#}"));
                break;
            }
        }
        if let Err(error) = self.make_room_in_ledger(stamp) {
            self.facts
                .failed(&format!("cannot make room in the ledger: {error:#}"));
        }
    }

    /// The stream that takes most, of those that have more than one file.
    fn largest(&self) -> Option<StreamName> {
        self.files
            .iter()
            .filter(|(name, files)| !name.is_ledger() && files.len() > 1)
            .max_by_key(|(_, files)| files.iter().map(cost).sum::<u64>())
            .map(|(name, _)| name.clone())
    }

    /// Removes a stream's oldest file; a sealed record says so before it is done.
    fn remove_oldest(
        &mut self,
        stream: &StreamName,
        reason: RemovalReason,
        stamp: Stamp,
    ) -> Result<()> {
        let removal = self.removal(stream, reason)?;
        let (last, bytes) = (removal.last, removal.bytes);
        let file = FileName::parse(&removal.file)?;
        self.keep(stream, Body::Removal(removal), stamp)?;
        self.seal(stream, stamp);
        self.sync(stream);
        self.vouch(stream, last, stamp)?;
        self.forget(stream, file)?;
        if reason == RemovalReason::Full {
            self.say_full(stream, file, bytes);
        }
        Ok(())
    }

    /// What is left after record `last` must begin before something that the ledger
    /// vouches for.
    fn vouch(&mut self, stream: &StreamName, last: u64, stamp: Stamp) -> Result<()> {
        let behind = self
            .streams
            .get(stream)
            .filter(|stream| stream.pinned <= last);
        match behind.map(|stream| stream.committed.pin()) {
            Some(pin) => self.write_ledger(stamp, Says::Pin { pins: vec![pin] }),
            None => Ok(()),
        }
    }

    fn say_full(&mut self, stream: &StreamName, file: FileName, bytes: u64) {
        let words = format!("the disk is full: {stream}/{file} had to go ({bytes} bytes)");
        self.remark(Priority::WARNING, words);
    }

    /// Removes the files up to `file` from the disk and from the list.
    fn forget(&mut self, stream: &StreamName, file: FileName) -> Result<()> {
        while let Some(kept) = self
            .files
            .get(stream)
            .and_then(|files| files.front().copied())
        {
            if kept.name > file {
                break;
            }
            match self.disk.remove(stream, kept.name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {stream}/{file}"));
                }
                _ => {}
            }
            if let Some(files) = self.files.get_mut(stream) {
                files.pop_front();
            }
        }
        Ok(())
    }

    /// The record of the removal of a stream's oldest file, and of those after it that
    /// say nothing.
    fn removal(&self, stream: &StreamName, reason: RemovalReason) -> Result<Removal> {
        let files = self.files.get(stream).context("it has no files")?;
        let mut bytes = 0_u64;
        for (kept, next) in files.iter().zip(files.iter().skip(1)) {
            bytes = bytes.saturating_add(kept.size);
            if let Some((first, head)) = self.beginning(stream, next.name)? {
                return Ok(Removal {
                    file: kept.name.to_string(),
                    last: first.saturating_sub(1),
                    head,
                    bytes,
                    reason,
                });
            }
        }
        anyhow::bail!("{stream} has only one file that says anything")
    }

    /// The number of a file's first record, and the hash of the one before.
    fn beginning(&self, stream: &StreamName, name: FileName) -> Result<Option<(u64, Digest)>> {
        let file = self.disk.read(stream, name)?;
        let mut bytes = Vec::new();
        file.take(LONGEST_LINE as u64 + 1).read_to_end(&mut bytes)?;
        let line = bytes
            .split(|byte| *byte == b'\n')
            .next()
            .unwrap_or_default();
        let record = Line::parse(line)
            .ok()
            .and_then(|line| Record::parse(line.json).ok());
        Ok(record.and_then(|record| Some((record.seq, record.part?.previous))))
    }

    /// Sets room aside again. While the disk is full, the oldest file of the stream that
    /// takes most goes for it; what was set aside took the record of that.
    pub(super) fn restore_reserve(&mut self, stamp: Stamp) {
        let now = Some(stamp.boottime);
        if self.reserve.whole || self.reserve.failed_at == now {
            return;
        }
        for _ in 0..TURN {
            match self.disk.reserve(self.settings.reserve) {
                Ok(()) => {
                    self.reserve.whole = true;
                    return;
                }
                Err(error) if is_full_disk(&error) => {}
                Err(error) => {
                    self.facts
                        .failed(&format!("cannot set room aside: {error}"));
                    break;
                }
            }
            let stream = self.largest();
            let Some(stream) = stream.filter(|_| self.total() > self.settings.floor) else {
                break;
            };
            if let Err(error) = self.remove_oldest(&stream, RemovalReason::Full, stamp) {
                self.facts.failed(&format!("cannot make room: {error:#}"));
                break;
            }
        }
        self.reserve.failed_at = now;
    }

    /// The disk is full in the middle of a write: what is set aside is room for it. Where
    /// that is gone already, the oldest file of the stream that takes most goes at once,
    /// and the record of it follows; a crash in between leaves a log with a gap. `false`:
    /// nothing may go.
    pub(super) fn give_way(&mut self) -> bool {
        self.reserve.whole = false;
        match self.disk.release() {
            Ok(true) => return true,
            Ok(false) => {}
            Err(error) => self
                .facts
                .failed(&format!("cannot use the reserve: {error}")),
        }
        if self.total() <= self.settings.floor {
            return false;
        }
        let Some(stream) = self.largest() else {
            return false;
        };
        let Ok(removal) = self.removal(&stream, RemovalReason::Full) else {
            return false;
        };
        let Ok(file) = FileName::parse(&removal.file) else {
            return false;
        };
        if let Err(error) = self.forget(&stream, file) {
            self.facts.failed(&format!("{error:#}"));
            return false;
        }
        self.say_full(&stream, file, removal.bytes);
        self.removals.push(Unrecorded { stream, removal });
        true
    }

    /// Writes what had to wait until there was room.
    pub(super) fn record_removals(&mut self, stamp: Stamp) {
        for Unrecorded { stream, removal } in std::mem::take(&mut self.removals) {
            if let Err(error) = self.keep(&stream, Body::Removal(removal.clone()), stamp) {
                self.facts.failed(&format!("{error:#}"));
                self.removals.push(Unrecorded { stream, removal });
                continue;
            }
            if let Err(error) = self.vouch(&stream, removal.last, stamp) {
                self.facts.failed(&format!("{error:#}"));
            }
        }
    }

    /// The ledger's oldest boots go when it is at its own bound. Each boot names every
    /// stream as it found it, so that what is left still vouches for all of them.
    fn make_room_in_ledger(&mut self, stamp: Stamp) -> Result<()> {
        let name = StreamName::ledger();
        let Some(files) = self.files.get(&name) else {
            return Ok(());
        };
        let total: u64 = files.iter().map(|kept| kept.size.max(4096)).sum();
        let Some(oldest) = files.front().copied().filter(|_| files.len() > 1) else {
            return Ok(());
        };
        if total <= self.settings.ledger_bound {
            return Ok(());
        }
        let listed = (name.clone(), oldest.name, oldest.size);
        let left = left(&self.disk, &name, &[&listed])?;
        if let (Some((last, head)), Some(ledger)) = (left.last, left.ledger) {
            let pins: Vec<Pin> = self
                .streams
                .values()
                .map(|stream| stream.committed.pin())
                .collect();
            self.write_ledger(stamp, Says::Pin { pins })?;
            self.write_ledger(
                stamp,
                Says::Removal(LedgerRemoval {
                    file: oldest.name.to_string(),
                    last,
                    head,
                    epoch: ledger.epoch(),
                    counter: ledger.counter,
                }),
            )?;
        }
        self.forget(&name, oldest.name)
    }

    /// Says how full the disk is, once for each step.
    pub(super) fn look_at_disk(&mut self) {
        let space = match self.disk.space() {
            Ok(space) => space,
            Err(error) => return self.facts.failed(&format!("cannot ask for room: {error}")),
        };
        let used = space.total.saturating_sub(space.free);
        let percent = used.saturating_mul(100) / space.total.max(1);
        let tide = match percent {
            0..90 => Tide::Low,
            90..95 => Tide::High,
            _ => Tide::Higher,
        };
        self.facts.space(percent, space);
        let before = std::mem::replace(&mut self.tide, tide);
        if tide > before {
            let free = space.free / 1024;
            let words = format!("the state volume is {percent} % full: {free} KiB are left");
            let priority = if tide == Tide::Higher {
                Priority::ERROR
            } else {
                Priority::WARNING
            };
            self.remark(priority, words);
        }
    }
}
