//! How the log does.

use bastide_ipc::log::{Anchored, Disk as DiskStatus, Status, Stream as StreamStatus};
use bastide_log_format::name::StreamName;
use bastide_log_format::record::Stamp;

use crate::disk::{Disk, Space};
use crate::settings::SECOND;

use super::Store;

/// The time over which the rate is taken, in microseconds.
const SPAN: u64 = 10 * SECOND;

/// Different failures kept until they are told.
const FAILURES: usize = 4;

/// What is counted in this run.
#[derive(Debug, Default)]
pub(super) struct Facts {
    entries: u64,
    /// Entries within the span that began at `since`, and within the one before.
    within: u64,
    before: u64,
    since: u64,
    sealed: Option<u64>,
    anchor: Option<(u64, u64)>,
    failures: Vec<String>,
    last_failure: Option<String>,
    failed: u64,
    percent: u64,
    space: Option<Space>,
}

impl Facts {
    /// An entry was kept.
    pub(super) fn came(&mut self) {
        self.entries = self.entries.saturating_add(1);
        self.within = self.within.saturating_add(1);
    }

    /// Something was sealed.
    pub(super) fn sealed(&mut self, stamp: Stamp) {
        self.sealed = Some(stamp.time);
    }

    /// An anchor was written down.
    pub(super) fn promised(&mut self, counter: u64, stamp: Stamp) {
        self.anchor = Some((counter, stamp.time));
    }

    /// The disk as it was last looked at.
    pub(super) fn space(&mut self, percent: u64, space: Space) {
        self.percent = percent;
        self.space = Some(space);
    }

    /// Something went wrong. It is told once things go again; the same thing over and
    /// over is counted only.
    pub(super) fn failed(&mut self, words: &str) {
        self.failed = self.failed.saturating_add(1);
        let again = self.last_failure.as_deref() == Some(words);
        if !again && self.failures.len() < FAILURES {
            self.failures.push(words.to_owned());
        }
        self.last_failure = Some(words.to_owned());
    }

    /// What has gone wrong and not been told.
    pub(super) fn failures(&mut self) -> Vec<String> {
        std::mem::take(&mut self.failures)
    }

    /// Time goes by.
    pub(super) fn tick(&mut self, now: u64) {
        if now.saturating_sub(self.since) >= SPAN {
            self.since = now;
            self.before = std::mem::take(&mut self.within);
        }
    }
}

impl<Medium: Disk> Store<Medium> {
    /// How the log does.
    #[must_use]
    pub fn status(&self) -> Status {
        let mut streams: Vec<StreamStatus> = Vec::new();
        for (name, files) in self.files.iter().filter(|(name, _)| !name.is_ledger()) {
            let stream = self.streams.get(name);
            streams.push(StreamStatus {
                name: name.to_string(),
                files: files.len() as u64,
                bytes: files.iter().map(|kept| kept.size).sum(),
                records: stream.map_or(0, |stream| stream.committed.seq()),
                kept: stream.map_or(0, |stream| stream.kept),
                dropped: stream.map_or(0, |stream| stream.dropped),
            });
        }
        let ledger = self.files.get(&StreamName::ledger());
        Status {
            boot: self.boot,
            streams,
            bytes: self.total(),
            bound: self.settings.bound,
            share: self.settings.share(),
            ledger_bytes: ledger.map_or(0, |files| files.iter().map(|kept| kept.size).sum()),
            sealed_at: self.facts.sealed,
            anchor: self
                .facts
                .anchor
                .map(|(counter, at)| Anchored { counter, at }),
            entries: self.facts.entries,
            entries_per_second: self.facts.before.max(self.facts.within) / (SPAN / SECOND),
            failures: self.facts.failed,
            last_failure: self.facts.last_failure.clone(),
            disk: self.facts.space.map(|space| DiskStatus {
                bytes: space.total,
                free: space.free,
                percent: self.facts.percent,
            }),
        }
    }

    /// One line for PID 1.
    #[must_use]
    pub fn headline(&self) -> String {
        let mebibytes = self.total() / (1024 * 1024);
        let dropped: u64 = self.streams.values().map(|stream| stream.dropped).sum();
        let mut line = format!("{} entries, {mebibytes} MiB", self.facts.entries);
        if dropped > 0 {
            line.push_str(&format!(", {dropped} dropped"));
        }
        if self.facts.percent >= 90 {
            line.push_str(&format!(", disk {} % full", self.facts.percent));
        }
        if !self.ledger.is_certified() {
            line.push_str(", not certified");
        }
        if self.anchor_failed {
            line.push_str(", no anchor");
        }
        line
    }
}
