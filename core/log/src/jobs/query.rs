//! Entries that fit filters, of all streams in one order.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io::{BufRead, BufReader};

use bastide_ipc::log::{Entries, Entry, Field, MOST_ENTRIES, Query, Source};
use bastide_ipc::message::Reply;
use bastide_log_format::line::{LONGEST_LINE, Line};
use bastide_log_format::name::{FileName, StreamName};
use bastide_log_format::record::Record;

use crate::disk::Disk;
use crate::store::Store;

use super::Progress;

/// Records looked at in a slice.
const SLICE: usize = 200;

/// Entries of a reply, in bytes of JSON: the longest entry still fits behind them.
const REPLY: usize = 16 * 1024;

/// All entries of a call that wants one reply only, in bytes of JSON.
const ONE_REPLY: usize = 60 * 1024;

/// Entries given when the call does not say how many.
const USUAL: u64 = 100;

/// Read at a time from a file, in bytes; there is a file for each stream.
const READ: usize = 8 * 1024;

/// The job.
pub struct QueryJob {
    query: Query,
    cursors: Vec<Cursor>,
    known: BTreeSet<StreamName>,
    left: u64,
    more: bool,
    batch: VecDeque<(Entry, usize)>,
    bytes: usize,
}

/// A stream, read in its order.
struct Cursor {
    stream: StreamName,
    /// The last file that was opened.
    part: u32,
    open: Option<BufReader<File>>,
    head: Option<Record>,
}

impl QueryJob {
    /// Begins; `more`: the caller takes several replies.
    #[must_use]
    pub fn new(query: Query, more: bool) -> Self {
        let limit = query.limit.unwrap_or(if more { u64::MAX } else { USUAL });
        let limit = if more && !query.newest.unwrap_or(false) {
            limit
        } else {
            limit.min(MOST_ENTRIES)
        };
        Self {
            query,
            cursors: Vec::new(),
            known: BTreeSet::new(),
            left: limit,
            more,
            batch: VecDeque::new(),
            bytes: 0,
        }
    }

    pub(super) fn step<Medium: Disk>(&mut self, store: &Store<Medium>) -> Progress {
        self.meet_streams(store);
        for _ in 0..SLICE {
            if self.left == 0 || self.is_full() {
                break;
            }
            let Some((stream, record)) = self.next(store) else {
                return self.at_the_end();
            };
            if let Some(entry) = self.fitting(&stream, record) {
                self.take(entry);
            }
        }
        if self.left == 0 || (!self.more && self.is_full()) {
            return Progress::Done(self.reply());
        }
        let reply = self.is_full().then(|| self.reply());
        Progress::More(reply)
    }

    /// Everything there is has been looked at.
    fn at_the_end(&mut self) -> Progress {
        if self.more && self.query.follow.unwrap_or(false) {
            self.query.newest = None;
            let reply = (!self.batch.is_empty()).then(|| self.reply());
            return Progress::Waiting(reply);
        }
        if self.more && self.is_full() {
            return Progress::More(Some(self.reply()));
        }
        Progress::Done(self.reply())
    }

    fn newest(&self) -> bool {
        self.query.newest.unwrap_or(false)
    }

    /// Whether what has been found is to be sent before more is looked for.
    fn is_full(&self) -> bool {
        !self.newest()
            && self.bytes
                >= if self.more {
                    REPLY
                } else {
                    ONE_REPLY - LONGEST_LINE
                }
    }

    fn take(&mut self, entry: Entry) {
        let size = serde_json::to_vec(&entry).map_or(LONGEST_LINE, |json| json.len());
        self.bytes += size;
        self.batch.push_back((entry, size));
        if self.newest() {
            let limit = usize::try_from(self.left).unwrap_or(usize::MAX);
            while self.batch.len() > limit || (self.bytes > ONE_REPLY && self.batch.len() > 1) {
                if let Some((_, size)) = self.batch.pop_front() {
                    self.bytes -= size;
                }
            }
        } else {
            self.left = self.left.saturating_sub(1);
        }
    }

    fn reply(&mut self) -> Reply {
        self.bytes = 0;
        let entries = std::mem::take(&mut self.batch);
        let entries = Entries {
            entries: entries.into_iter().map(|(entry, _)| entry).collect(),
        };
        Reply::new(&entries).unwrap_or_else(|_| Reply::empty())
    }

    /// Streams that were not there before.
    fn meet_streams<Medium: Disk>(&mut self, store: &Store<Medium>) {
        for stream in store.stream_names() {
            let wanted = self
                .query
                .source
                .as_deref()
                .is_none_or(|source| source == stream.as_str());
            if wanted && self.known.insert(stream.clone()) {
                self.cursors.push(Cursor {
                    stream,
                    part: 0,
                    open: None,
                    head: None,
                });
            }
        }
    }

    /// The next record of all.
    fn next<Medium: Disk>(&mut self, store: &Store<Medium>) -> Option<(StreamName, Record)> {
        for cursor in &mut self.cursors {
            cursor.fill(store, self.query.boot);
        }
        let order = |record: &Record| (record.boot, record.boottime);
        let first = self
            .cursors
            .iter_mut()
            .filter(|cursor| cursor.head.is_some())
            .min_by_key(|cursor| cursor.head.as_ref().map(order))?;
        let record = first.head.take()?;
        Some((first.stream.clone(), record))
    }

    fn fitting(&self, stream: &StreamName, record: Record) -> Option<Entry> {
        let query = &self.query;
        let in_time = query.since.is_none_or(|since| record.time >= since)
            && query.until.is_none_or(|until| record.time < until)
            && query.boot.is_none_or(|boot| record.boot == boot);
        if !in_time {
            return None;
        }
        let entry = entry(stream, record)?;
        let fits = query.priority.is_none_or(|least| entry.priority <= least)
            && query
                .text
                .as_deref()
                .is_none_or(|text| entry.message.contains(text));
        fits.then_some(entry)
    }
}

impl Cursor {
    /// Reads the next record, if none is at hand and there is one.
    fn fill<Medium: Disk>(&mut self, store: &Store<Medium>, boot: Option<u64>) {
        while self.head.is_none() {
            if self.open.is_none() && !self.open_next(store, boot) {
                return;
            }
            let Some(reader) = &mut self.open else {
                return;
            };
            let mut line = Vec::new();
            match reader.by_ref_limited(&mut line) {
                Ok(true) => {
                    let line = line.strip_suffix(b"\n").unwrap_or(&line);
                    // What is no record is verification's concern.
                    self.head = Line::parse(line)
                        .ok()
                        .and_then(|line| Record::parse(line.json).ok());
                }
                Ok(false) => {
                    // The end for now; the file goes on unless there is another.
                    if store.part_after(&self.stream, self.part).is_none() {
                        return;
                    }
                    self.open = None;
                }
                Err(_) => self.open = None,
            }
        }
    }

    fn open_next<Medium: Disk>(&mut self, store: &Store<Medium>, boot: Option<u64>) -> bool {
        while let Some(FileName { part, boot: of }) = store.part_after(&self.stream, self.part) {
            self.part = part;
            if boot.is_some_and(|boot| boot != of) {
                continue;
            }
            if let Ok(file) = store.disk().read(&self.stream, FileName { part, boot: of }) {
                self.open = Some(BufReader::with_capacity(READ, file));
                return true;
            }
        }
        false
    }
}

trait Bounded {
    /// Reads a line that is not longer than any; `false`: there is none.
    fn by_ref_limited(&mut self, line: &mut Vec<u8>) -> std::io::Result<bool>;
}

impl Bounded for BufReader<File> {
    fn by_ref_limited(&mut self, line: &mut Vec<u8>) -> std::io::Result<bool> {
        let mut limited = std::io::Read::take(&mut *self, LONGEST_LINE as u64 + 1);
        Ok(limited.read_until(b'\n', line)? > 0)
    }
}

fn entry(stream: &StreamName, record: Record) -> Option<Entry> {
    let mut entry = Entry {
        stream: stream.to_string(),
        seq: record.seq,
        boot: record.boot,
        time: record.time,
        boottime: record.boottime,
        source: None,
        priority: 4,
        facility: None,
        message: String::new(),
        fields: Vec::new(),
        cut: false,
        dropped: None,
    };
    if let Some(dropped) = record.dropped {
        entry.dropped = Some(dropped.records);
        entry.message = format!(
            "{} entries ({} bytes) were dropped",
            dropped.records, dropped.bytes
        );
        return Some(entry);
    }
    if let Some(removal) = record.removal {
        entry.priority = 5;
        entry.message = format!("{} was removed to make room", removal.file);
        return Some(entry);
    }
    let said = record.entry?;
    entry.source = Some(Source {
        kind: said.source.kind.as_str().to_owned(),
        name: said.source.name,
        uid: said.source.uid,
        pid: said.source.pid,
    });
    entry.priority = said.priority.number();
    entry.facility = said.facility;
    entry.message = said.message;
    let fields = said.fields.into_iter();
    entry.fields = fields.map(|(name, value)| Field { name, value }).collect();
    entry.cut = said.cut;
    Some(entry)
}
