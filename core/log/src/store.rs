//! All streams and the ledger: what is written where and when, and what makes room.
//!
//! The guarantee: while the log is at its bound, the file that goes is the oldest of
//! the stream that takes most. A stream whose newest `bound / streams - part` bytes are
//! all there is of it is never that one, since some other must take more. So whatever
//! one source writes, every other keeps at least that much.

mod anchors;
mod open;
mod room;
mod status;

use std::collections::{BTreeMap, VecDeque};
use std::io;

use anyhow::{Context, Result};
use bastide_log_format::audit;
use bastide_log_format::chain::Chain;
use bastide_log_format::entry::{Entry, Kind, Priority, Said, Source};
use bastide_log_format::ledger::{Pin, Registration, Says};
use bastide_log_format::name::{FileName, StreamName};
use bastide_log_format::record::{Body, Part, Stamp};

use crate::anchor::Anchor;
use crate::disk::Disk;
use crate::jobs::Snapshot;
use crate::ledger::Ledger;
use crate::secret::new_seed;
use crate::settings::{SECOND, Settings};
use crate::stream::{OpenPart, Stream};

/// The stream of what the log itself has to say.
pub const OWN: &str = "log";

/// The stream of sources that the image does not name.
pub const OTHERS: &str = "others";

/// Bytes that a stream gathers before they are written in the middle of a turn.
const BUFFER: usize = 64 * 1024;

/// Own words that wait for their turn.
const WORDS: usize = 16;

/// How often the disk is looked at, in microseconds.
const LOOK: u64 = 10 * SECOND;

/// The log on the disk.
pub struct Store<Medium: Disk> {
    disk: Medium,
    settings: Settings,
    boot: u64,
    ledger: Ledger,
    anchor: Option<Box<dyn Anchor>>,
    streams: BTreeMap<StreamName, Stream>,
    files: BTreeMap<StreamName, VecDeque<Kept>>,
    /// What the log has to say, when nothing else is being written.
    words: Vec<(Priority, String)>,
    own: StreamName,
    others: StreamName,
    kernel_sequence: Option<u64>,
    anchored_at: u64,
    anchor_failed: bool,
    /// A grave entry waits for an anchor.
    grave: bool,
    /// When the present day of early anchors began, and how many there were in it.
    early: (u64, u32),
    looked_at: u64,
    held: bool,
    tide: room::Tide,
    removals: Vec<room::Unrecorded>,
    reserve: room::Reserve,
    facts: status::Facts,
}

/// A file on the disk.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    /// Its name.
    pub name: FileName,
    /// Its size, in bytes, as of when it was closed.
    pub size: u64,
}

impl<Medium: Disk> Store<Medium> {
    /// The boot.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.boot
    }

    /// The disk.
    pub fn disk(&self) -> &Medium {
        &self.disk
    }

    /// The kernel's number of the last record of its log that is kept from this boot.
    #[must_use]
    pub fn kernel_sequence(&self) -> Option<u64> {
        self.kernel_sequence
    }

    /// The streams that have files.
    pub fn stream_names(&self) -> impl Iterator<Item = StreamName> {
        self.files.keys().filter(|name| !name.is_ledger()).cloned()
    }

    /// The first file of a stream after a part.
    #[must_use]
    pub fn part_after(&self, stream: &StreamName, part: u32) -> Option<FileName> {
        let files = self.files.get(stream)?;
        let after = files.partition_point(|kept| kept.name.part <= part);
        files.get(after).map(|kept| kept.name)
    }

    /// Every file as it is now.
    #[must_use]
    pub fn snapshot(&self) -> Vec<Snapshot> {
        let mut all = Vec::new();
        for (stream, files) in &self.files {
            all.extend(files.iter().map(|kept| Snapshot {
                stream: stream.clone(),
                name: kept.name,
                size: kept.size,
            }));
        }
        all
    }

    /// Whether files must stay where they are, because somebody reads all of them.
    pub fn hold(&mut self, hold: bool) {
        self.held = hold;
    }

    /// The TPM's counter, if there is one and it answers.
    pub fn counter(&mut self) -> Option<u64> {
        self.anchor.as_mut().and_then(|anchor| anchor.read().ok())
    }

    /// Keeps an entry of a source, unless the source has said too much.
    pub fn say(&mut self, stream: &StreamName, entry: Entry, stamp: Stamp) {
        self.restore_reserve(stamp);
        let name = self.place_for(stream);
        let bytes = entry.message.len()
            + entry
                .fields
                .iter()
                .map(|(name, value)| name.len() + value.len())
                .sum::<usize>();
        let now = stamp.boottime;
        let urgent = entry.priority <= Priority::CRITICAL;
        // All of audit is one stream; a service's violations must not hide another's.
        let user = (entry.source.kind == Kind::Audit)
            .then(|| audit::user(&entry.message))
            .flatten();
        let stream = self.stream(&name);
        if !stream.limit.passes(user, bytes as u64, now) {
            stream.dropped = stream.dropped.saturating_add(1);
            return;
        }
        stream.urgent |= urgent;
        self.grave |= urgent;
        self.record(&name, Body::Entry(entry), stamp);
    }

    /// Has something to say itself, once nothing else is being written.
    pub fn remark(&mut self, priority: Priority, words: String) {
        if self.words.len() < WORDS {
            self.words.push((priority, words));
        }
    }

    /// Writes what has been gathered; called at the end of each turn.
    pub fn flush(&mut self, stamp: Stamp) {
        for name in self.names() {
            self.restore_reserve(stamp);
            self.flush_stream(&name, stamp);
            let most = self.settings.urgent_per_second;
            let urgent = self
                .streams
                .get_mut(&name)
                .is_some_and(|stream| stream.urgent && stream.may_hurry(stamp.boottime, most));
            if urgent {
                self.seal(&name, stamp);
                self.sync(&name);
            }
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, stamp: Stamp) {
        let now = stamp.boottime;
        self.restore_reserve(stamp);
        self.record_removals(stamp);
        self.say_words(stamp);
        for name in self.names() {
            self.report_dropped(&name, stamp, false);
            self.flush_stream(&name, stamp);
            let Some(stream) = self.streams.get(&name) else {
                continue;
            };
            let due = |since: Option<u64>, span: u64| {
                since.is_some_and(|since| now >= since.saturating_add(span))
            };
            let (seal, sync) = (
                stream.urgent || due(stream.unsealed, self.settings.seal_after),
                stream.urgent || due(stream.unsynced, self.settings.sync_after),
            );
            if seal {
                self.seal(&name, stamp);
            }
            if sync {
                self.sync(&name);
            }
            self.end_old_part(&name, stamp);
        }
        if now >= self.anchored_at.saturating_add(self.anchor_span()) && self.has_moved() {
            self.anchor(stamp);
        } else if self.early_anchor_at(now).is_some_and(|due| due <= now) {
            self.count_early_anchor(now);
            self.anchor(stamp);
        }
        if now >= self.looked_at.saturating_add(LOOK) {
            self.looked_at = now;
            self.look_at_disk();
        }
        if !self.held {
            self.make_room(stamp);
        }
        self.facts.tick(now);
    }

    /// When [`Store::tick`] is to be called next, in microseconds of the second clock.
    #[must_use]
    pub fn next_deadline(&self) -> u64 {
        let mut next = self.looked_at.saturating_add(LOOK);
        for stream in self.streams.values() {
            let seal = stream
                .unsealed
                .map(|since| since.saturating_add(self.settings.seal_after));
            let sync = stream
                .unsynced
                .map(|since| since.saturating_add(self.settings.sync_after));
            for due in [seal, sync, stream.limit.report_at()].into_iter().flatten() {
                next = next.min(due);
            }
        }
        next = next.min(self.early_anchor_at(next).unwrap_or(next));
        if self.words.is_empty() { next } else { 0 }
    }

    /// Closes the log in order.
    pub fn stop(&mut self, stamp: Stamp) {
        self.record_removals(stamp);
        self.say_words(stamp);
        for name in self.names() {
            self.report_dropped(&name, stamp, true);
        }
        self.anchor(stamp);
        let stopped = self.write_ledger(stamp, Says::Stop {});
        if let Err(error) = stopped {
            eprintln!("the log could not be closed: {error:#}");
        }
    }

    /// Writes a record of the ledger, and takes note of what it names.
    fn write_ledger(&mut self, stamp: Stamp, says: Says) -> Result<()> {
        let pins: Vec<Pin> = says.pins().to_vec();
        let mut result = self.ledger.append(&self.disk, stamp, says.clone());
        while let Err(error) = &result
            && is_full(error)
            && self.give_way()
        {
            result = self.ledger.append(&self.disk, stamp, says.clone());
        }
        result?;
        for pin in pins {
            if let Some(stream) = self.streams.get_mut(&pin.stream) {
                stream.pinned = stream.pinned.max(pin.seq);
            }
        }
        let (name, size) = (self.ledger.name(), self.ledger.size());
        self.note_size(&StreamName::ledger(), name, size);
        Ok(())
    }

    fn names(&self) -> Vec<StreamName> {
        self.streams.keys().cloned().collect()
    }

    /// The stream that takes a source's entries: its own while there is room for one.
    fn place_for(&self, stream: &StreamName) -> StreamName {
        let room = (self.streams.len() as u64) < self.settings.streams.saturating_sub(2);
        let known = self.streams.contains_key(stream) || *stream == self.own;
        if (known || room) && !stream.is_ledger() {
            stream.clone()
        } else {
            self.others.clone()
        }
    }

    fn stream(&mut self, name: &StreamName) -> &mut Stream {
        let settings = &self.settings;
        self.streams
            .entry(name.clone())
            .or_insert_with(|| Stream::new(Chain::new(name.clone()), 0, settings))
    }

    /// Adds a record to a stream's buffer. What cannot be kept is counted.
    fn record(&mut self, name: &StreamName, body: Body, stamp: Stamp) {
        let is_entry = matches!(body, Body::Entry(_));
        if let Err(error) = self.try_record(name, body, stamp) {
            if let Some(stream) = self.streams.get_mut(name) {
                stream.dropped = stream.dropped.saturating_add(u64::from(is_entry));
                stream.limit.drop(0, stamp.boottime);
            }
            self.facts.failed(&format!("{error:#}"));
        } else if is_entry {
            self.facts.came();
        }
    }

    fn try_record(&mut self, name: &StreamName, body: Body, stamp: Stamp) -> Result<()> {
        self.begin_part(name, stamp)?;
        let boot = self.boot;
        let is_entry = matches!(body, Body::Entry(_));
        let Some(stream) = self.streams.get_mut(name) else {
            return Ok(());
        };
        stream.chain.append(boot, stamp, body, &mut stream.buffer)?;
        stream.buffered = stream.buffered.saturating_add(u64::from(is_entry));
        let size = stream.open.as_ref().map_or(0, |open| open.size);
        let buffered = stream.buffer.len();
        if buffered >= BUFFER || size.saturating_add(buffered as u64) >= self.settings.part {
            self.flush_stream(name, stamp);
        }
        if size.saturating_add(buffered as u64) >= self.settings.part {
            self.end_part(name, stamp);
        }
        Ok(())
    }

    /// Adds a record that must not get lost, and sees to it that it is in the file.
    fn keep(&mut self, name: &StreamName, body: Body, stamp: Stamp) -> Result<()> {
        // What is in the buffer is entries; were they lost, so would this be.
        self.flush_stream(name, stamp);
        self.try_record(name, body, stamp)?;
        let seq = self
            .streams
            .get(name)
            .map_or(0, |stream| stream.chain.seq());
        self.flush_stream(name, stamp);
        let written = self
            .streams
            .get(name)
            .map_or(0, |stream| stream.committed.seq());
        anyhow::ensure!(
            seq > 0 && written >= seq,
            "a record of {name} could not be kept"
        );
        Ok(())
    }

    /// Makes sure that a stream has a file to write to, and a key that the ledger knows.
    fn begin_part(&mut self, name: &StreamName, stamp: Stamp) -> Result<()> {
        let now = stamp.boottime;
        let stream = self.stream(name);
        if stream.open.is_some() {
            return Ok(());
        }
        if stream.key.is_none() {
            let seed = new_seed()?;
            let registration = Registration {
                pin: stream.committed.pin(),
                key: seed.public(),
            };
            self.write_ledger(stamp, Says::Stream(registration))?;
            self.stream(name).key = Some(seed);
        }
        let boot = self.boot;
        let stream = self.stream(name);
        let Some(key) = stream.key.as_ref().map(|seed| seed.public()) else {
            return Ok(());
        };
        let part = stream.part.saturating_add(1);
        let file_name = FileName { part, boot };
        let mut chain = stream.committed.clone();
        let header = Part {
            stream: name.clone(),
            number: part,
            previous: chain.head(),
            key,
        };
        let mut line = Vec::new();
        chain.append(boot, stamp, Body::Part(header), &mut line)?;
        let create = |disk: &Medium| -> io::Result<_> {
            let mut file = disk.create(name, file_name)?;
            match disk.append(&mut file, 0, &line) {
                Ok(()) => Ok(file),
                Err(error) => {
                    disk.remove(name, file_name)?;
                    Err(error)
                }
            }
        };
        let mut created = create(&self.disk);
        while let Err(error) = &created
            && is_full_disk(error)
            && self.give_way()
        {
            created = create(&self.disk);
        }
        let file = created.with_context(|| format!("cannot begin {name}/{file_name}"))?;
        let size = line.len() as u64;
        let stream = self.stream(name);
        stream.part = part;
        stream.chain = chain;
        stream.open = Some(OpenPart {
            file,
            name: file_name,
            size,
            begun: now,
        });
        stream.commit(now);
        self.files.entry(name.clone()).or_default().push_back(Kept {
            name: file_name,
            size,
        });
        Ok(())
    }

    fn flush_stream(&mut self, name: &StreamName, stamp: Stamp) {
        let now = stamp.boottime;
        loop {
            let Some(stream) = self.streams.get_mut(name) else {
                return;
            };
            let Some(open) = stream.open.as_mut().filter(|_| !stream.buffer.is_empty()) else {
                return;
            };
            match self.disk.append(&mut open.file, open.size, &stream.buffer) {
                Ok(()) => {
                    stream.commit(now);
                    if let Some(open) = &stream.open {
                        let (file, size) = (open.name, open.size);
                        self.note_size(name, file, size);
                    }
                    return;
                }
                Err(error) if is_full_disk(&error) && self.give_way() => {}
                Err(error) => {
                    if let Some(stream) = self.streams.get_mut(name) {
                        stream.take_back(now);
                    }
                    return self.facts.failed(&format!("cannot write {name}: {error}"));
                }
            }
        }
    }

    /// Signs everything so far, and erases the key that did.
    fn seal(&mut self, name: &StreamName, stamp: Stamp) {
        if !self.settings.seals {
            if let Some(stream) = self.streams.get_mut(name) {
                stream.urgent = false;
                stream.unsealed = None;
            }
            return;
        }
        if let Err(error) = self.try_seal(name, stamp) {
            self.facts.failed(&format!("cannot seal {name}: {error:#}"));
        }
    }

    fn try_seal(&mut self, name: &StreamName, stamp: Stamp) -> Result<()> {
        let boot = self.boot;
        let Some(stream) = self.streams.get_mut(name) else {
            return Ok(());
        };
        stream.urgent = false;
        if stream.unsealed.is_none() || !stream.buffer.is_empty() {
            return Ok(());
        }
        let (Some(key), true) = (&stream.key, stream.open.is_some()) else {
            return Ok(());
        };
        let next = new_seed()?;
        let mut buffer = Vec::new();
        stream.chain.seal(boot, stamp, key, &next, &mut buffer)?;
        stream.buffer = buffer;
        let sealed = stream.chain.seq();
        self.flush_stream(name, stamp);
        if let Some(stream) = self.streams.get_mut(name)
            && stream.committed.seq() == sealed
        {
            stream.key = Some(next);
            stream.unsealed = None;
            self.facts.sealed(stamp);
        }
        Ok(())
    }

    /// Makes sure that a power cut takes nothing of what is written.
    fn sync(&mut self, name: &StreamName) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let (Some(open), Some(_)) = (&stream.open, stream.unsynced) else {
            return;
        };
        match open.file.sync_data() {
            Ok(()) => stream.unsynced = None,
            Err(error) => self.facts.failed(&format!("cannot sync {name}: {error}")),
        }
    }

    fn end_old_part(&mut self, name: &StreamName, stamp: Stamp) {
        let begun = self
            .streams
            .get(name)
            .and_then(|stream| stream.open.as_ref())
            .map(|open| open.begun);
        let age = self.settings.part_age;
        if begun.is_some_and(|begun| stamp.boottime >= begun.saturating_add(age)) {
            self.end_part(name, stamp);
        }
    }

    /// Seals and closes a stream's file; the next record begins another.
    fn end_part(&mut self, name: &StreamName, stamp: Stamp) {
        self.flush_stream(name, stamp);
        self.seal(name, stamp);
        self.sync(name);
        if let Some(stream) = self.streams.get_mut(name) {
            stream.open = None;
        }
    }

    fn report_dropped(&mut self, name: &StreamName, stamp: Stamp, last: bool) {
        let Some(stream) = self.streams.get_mut(name) else {
            return;
        };
        let dropped = if last {
            stream.limit.last_report()
        } else {
            stream.limit.report(stamp.boottime)
        };
        if let Some(dropped) = dropped
            && let Err(error) = self.keep(name, Body::Dropped(dropped), stamp)
        {
            if let Some(stream) = self.streams.get_mut(name) {
                stream.limit.give_back(dropped);
            }
            self.facts.failed(&format!("{error:#}"));
        }
    }

    fn say_words(&mut self, stamp: Stamp) {
        let own = self.own.clone();
        for words in self.facts.failures() {
            self.remark(Priority::ERROR, words);
        }
        for (priority, words) in std::mem::take(&mut self.words) {
            let source = Source {
                kind: Kind::Log,
                name: OWN.to_owned(),
                uid: None,
                pid: None,
            };
            self.say(&own, Said::new(priority, words).by(source), stamp);
        }
    }

    fn note_size(&mut self, stream: &StreamName, name: FileName, size: u64) {
        let files = self.files.entry(stream.clone()).or_default();
        if let Some(kept) = files.iter_mut().rev().find(|kept| kept.name == name) {
            kept.size = size;
        }
    }
}

fn is_full(error: &anyhow::Error) -> bool {
    error
        .chain()
        .any(|cause| cause.downcast_ref::<io::Error>().is_some_and(is_full_disk))
}

fn is_full_disk(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}
