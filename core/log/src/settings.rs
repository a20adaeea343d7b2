//! The numbers that bound the log.

/// A second, in the unit of the clocks.
pub const SECOND: u64 = 1_000_000;

/// A mebibyte.
pub const MEBIBYTE: u64 = 1024 * 1024;

/// The bounds.
#[derive(Debug, Clone, Copy)]
pub struct Settings {
    /// All streams together, in bytes, the ledger left out.
    pub bound: u64,
    /// The ledger, in bytes.
    pub ledger_bound: u64,
    /// Most streams. Each is sure of `bound / streams`, less one part.
    pub streams: u64,
    /// The size at which a file of a stream ends, in bytes.
    pub part: u64,
    /// The age at which it does, in microseconds.
    pub part_age: u64,
    /// What is kept of all streams when the disk is full, in bytes.
    pub floor: u64,
    /// What is set aside, in bytes, so that a full disk still takes the record of a file
    /// that makes room: more than a stream's buffer and that record.
    pub reserve: u64,
    /// How long an entry may wait for its seal, in microseconds.
    pub seal_after: u64,
    /// How long it may wait until it is on the disk for certain, in microseconds.
    pub sync_after: u64,
    /// How many grave entries of a stream are sealed at once within a second; those
    /// beyond wait for the next [`crate::store::Store::tick`] like all others.
    pub urgent_per_second: u32,
    /// How long it may wait for an anchor, in microseconds.
    pub anchor_after: u64,
    /// How long after the last anchor a grave entry may have one of its own, in
    /// microseconds.
    pub early_anchor_after: u64,
    /// How many such anchors there are in a day at most: the TPM's memory wears out, and
    /// any service can say something grave.
    pub early_anchors: u32,
    /// Entries that a source may write per second for ever.
    pub records_per_second: u64,
    /// Entries that it may write at once.
    pub records_at_once: u64,
    /// Bytes that a source may write per second for ever.
    pub bytes_per_second: u64,
    /// Bytes that it may write at once.
    pub bytes_at_once: u64,
    /// Whether streams are sealed. Only the measurement of what sealing costs says no.
    pub seals: bool,
}

impl Settings {
    /// What each stream is sure of: no other stream, whatever it writes, makes it lose
    /// what is within its newest so many bytes.
    #[must_use]
    pub fn share(&self) -> u64 {
        (self.bound / self.streams.max(1)).saturating_sub(self.part)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            bound: 224 * MEBIBYTE,
            ledger_bound: 32 * MEBIBYTE,
            streams: 32,
            part: MEBIBYTE,
            part_age: 24 * 60 * 60 * SECOND,
            floor: 16 * MEBIBYTE,
            reserve: 256 * 1024,
            seal_after: SECOND,
            sync_after: 5 * SECOND,
            urgent_per_second: 10,
            anchor_after: 15 * 60 * SECOND,
            early_anchor_after: 60 * SECOND,
            early_anchors: 96,
            records_per_second: 500,
            records_at_once: 10_000,
            bytes_per_second: 128 * 1024,
            bytes_at_once: 4 * MEBIBYTE,
            seals: true,
        }
    }
}
