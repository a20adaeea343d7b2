//! A stream as it is written: one source's chain, its key, and its newest file.

use std::fs::File;

use bastide_log_format::chain::Chain;
use bastide_log_format::key::Seed;
use bastide_log_format::name::FileName;

use crate::limit::Limit;
use crate::settings::{SECOND, Settings};

/// A stream.
#[derive(Debug)]
pub struct Stream {
    /// What is in the file.
    pub committed: Chain,
    /// The same, and what is in the buffer.
    pub chain: Chain,
    /// Lines on their way to the file.
    pub buffer: Vec<u8>,
    /// Entries among them.
    pub buffered: u64,
    /// The key of the next seal; none until the ledger has named one in this run.
    pub key: Option<Seed>,
    /// The number of the newest file.
    pub part: u32,
    /// The file that is being written.
    pub open: Option<OpenPart>,
    /// What the source may still say.
    pub limit: Limit,
    /// When the oldest record without a seal was written.
    pub unsealed: Option<u64>,
    /// When the oldest record was written that a power cut may take.
    pub unsynced: Option<u64>,
    /// The last record that the ledger names.
    pub pinned: u64,
    /// An entry came that is to be sealed at once.
    pub urgent: bool,
    /// When the present second of hurry began, and how often there was hurry in it.
    hurries: (u64, u32),
    /// Entries kept in this run.
    pub kept: u64,
    /// Entries dropped in this run.
    pub dropped: u64,
}

/// The file that is being written.
#[derive(Debug)]
pub struct OpenPart {
    /// It.
    pub file: File,
    /// Its name.
    pub name: FileName,
    /// Its size, in bytes.
    pub size: u64,
    /// When it was begun.
    pub begun: u64,
}

impl Stream {
    /// A stream that goes on where `chain` has come to.
    #[must_use]
    pub fn new(chain: Chain, part: u32, settings: &Settings) -> Self {
        Self {
            committed: chain.clone(),
            chain,
            buffer: Vec::new(),
            buffered: 0,
            key: None,
            part,
            open: None,
            limit: Limit::new(settings),
            unsealed: None,
            unsynced: None,
            pinned: 0,
            urgent: false,
            hurries: (0, 0),
            kept: 0,
            dropped: 0,
        }
    }

    /// Whether what is urgent may be sealed now: each time costs a write to the disk that
    /// all others wait for.
    pub fn may_hurry(&mut self, now: u64, per_second: u32) -> bool {
        let (since, times) = self.hurries;
        self.hurries = if now >= since.saturating_add(SECOND) {
            (now, 1)
        } else {
            (since, times.saturating_add(1))
        };
        self.hurries.1 <= per_second
    }

    /// What is in the buffer has reached the file.
    pub fn commit(&mut self, now: u64) {
        self.committed = self.chain.clone();
        if let Some(open) = &mut self.open {
            open.size = open.size.saturating_add(self.buffer.len() as u64);
        }
        self.kept = self.kept.saturating_add(self.buffered);
        self.unsealed.get_or_insert(now);
        self.unsynced.get_or_insert(now);
        self.empty();
    }

    /// What is in the buffer is lost.
    pub fn take_back(&mut self, now: u64) {
        self.chain = self.committed.clone();
        let bytes = self.buffer.len() as u64 / self.buffered.max(1);
        for _ in 0..self.buffered {
            self.limit.drop(bytes, now);
        }
        self.dropped = self.dropped.saturating_add(self.buffered);
        self.empty();
    }

    fn empty(&mut self) {
        self.buffered = 0;
        self.buffer.clear();
        // A burst does not keep its memory.
        self.buffer.shrink_to(8 * 1024);
    }
}
