//! Records of a stream: entries, and what the log itself writes between them.

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::entry::Entry;
use crate::key::PublicKey;
use crate::name::StreamName;

/// When: both clocks, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stamp {
    /// Since 1970, as the machine believes (`CLOCK_REALTIME`).
    pub time: u64,
    /// Since the machine was started, sleep included (`CLOCK_BOOTTIME`).
    pub boottime: u64,
}

/// A record as it stands in a stream's file. Exactly one of the optional members is
/// there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Its number in the stream, from 1, counting on across boots.
    pub seq: u64,
    /// The boot.
    pub boot: u64,
    /// Microseconds since 1970.
    pub time: u64,
    /// Microseconds since the machine was started.
    pub boottime: u64,
    /// A source said something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Entry>,
    /// A file begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// Everything so far is signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seal: Option<Seal>,
    /// The oldest file was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal: Option<Removal>,
    /// The source said more than it may.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
}

/// The first record of a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// The stream, so that no file passes for another's.
    pub stream: StreamName,
    /// The number of the file.
    pub number: u32,
    /// The hash of the record before.
    pub previous: Digest,
    /// The key of the next seal.
    pub key: PublicKey,
}

/// A signature over everything so far, and the key of the next one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The key of the next seal.
    pub next: PublicKey,
}

/// A file that made room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Removal {
    /// Its name.
    pub file: String,
    /// The number of its last record; all before are gone as well.
    pub last: u64,
    /// The hash of its last record, which the oldest file left names as its `previous`.
    pub head: Digest,
    /// Its size.
    pub bytes: u64,
    /// Why.
    pub reason: RemovalReason,
}

/// Why a file was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RemovalReason {
    /// The log had reached its own bound.
    Bound,
    /// The disk was full.
    Full,
}

/// What a source said beyond its limit, and is not kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dropped {
    /// How many entries.
    pub records: u64,
    /// How many bytes of messages and fields.
    pub bytes: u64,
}

/// What a record is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// A source said something.
    Entry(Entry),
    /// A file begins.
    Part(Part),
    /// Everything so far is signed.
    Seal(Seal),
    /// The oldest file was removed.
    Removal(Removal),
    /// The source said more than it may.
    Dropped(Dropped),
}

/// Why JSON is no record.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// It is no JSON, or of another structure.
    #[error("the record is not understood")]
    Json(#[from] serde_json::Error),
    /// It is about nothing or about several things.
    #[error("a record is about one thing, this one about {0}")]
    Bodies(usize),
}

impl Record {
    /// A record of a stream.
    #[must_use]
    pub fn new(seq: u64, boot: u64, stamp: Stamp, body: Body) -> Self {
        let mut record = Self {
            seq,
            boot,
            time: stamp.time,
            boottime: stamp.boottime,
            entry: None,
            part: None,
            seal: None,
            removal: None,
            dropped: None,
        };
        match body {
            Body::Entry(entry) => record.entry = Some(entry),
            Body::Part(part) => record.part = Some(part),
            Body::Seal(seal) => record.seal = Some(seal),
            Body::Removal(removal) => record.removal = Some(removal),
            Body::Dropped(dropped) => record.dropped = Some(dropped),
        }
        record
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(json: &[u8]) -> Result<Self, RecordError> {
        let record: Self = serde_json::from_slice(json)?;
        let bodies = [
            record.entry.is_some(),
            record.part.is_some(),
            record.seal.is_some(),
            record.removal.is_some(),
            record.dropped.is_some(),
        ];
        match bodies.into_iter().filter(|there| *there).count() {
            1 => Ok(record),
            other => Err(RecordError::Bodies(other)),
        }
    }
}
