//! The ledger: the stream that says which boots there were, with which key each stream
//! was sealed, and how far each stream had come when the TPM's counter was raised.
//!
//! Every record is signed, with a key that is erased right after.

use serde::{Deserialize, Serialize};

use crate::certificate::{Certificate, CertificateError};
use crate::digest::Digest;
use crate::epoch::Epoch;
use crate::key::PublicKey;
use crate::name::StreamName;
use crate::record::Stamp;

/// A record of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRecord {
    /// Its number, from 1, counting on across boots.
    pub seq: u64,
    /// The boot.
    pub boot: u64,
    /// Microseconds since 1970.
    pub time: u64,
    /// Microseconds since the machine was started.
    pub boottime: u64,
    /// The key that signs the next record.
    pub next: PublicKey,
    /// What it says.
    pub says: Says,
}

/// What a record of the ledger says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
pub enum Says {
    /// A boot's log begins, and with it a file.
    Start(Start),
    /// The log was started again within a boot: what came since the last seals is
    /// chained only.
    Restart {},
    /// A stream is sealed with a new key from here on.
    Stream(Registration),
    /// How far each stream had come when the TPM's counter was raised.
    Anchor(Anchor),
    /// How far each stream has come, without the TPM.
    Pin {
        /// The streams that have moved.
        pins: Vec<Pin>,
    },
    /// The ledger's own oldest file was removed.
    Removal(LedgerRemoval),
    /// The log ends in order.
    Stop {},
}

/// The first record of a boot, signed with the key in its certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The root's word for the first key, in hexadecimal; without it the boot's log is
    /// chained and sealed, but by nobody known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
    /// The key that this very record is signed with.
    pub key: PublicKey,
    /// The number of the file.
    pub part: u32,
    /// The hash of the record before.
    pub previous: Digest,
    /// Every stream as it was found, which freezes what an earlier boot left unsealed.
    pub pins: Vec<Pin>,
}

/// A stream's new key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Registration {
    /// The stream and how far it had come.
    pub pin: Pin,
    /// The key of its next seal.
    pub key: PublicKey,
}

/// How far a stream has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// The stream.
    pub stream: StreamName,
    /// The number of its last record; 0 before the first.
    pub seq: u64,
    /// The hash of that record.
    pub head: Digest,
}

/// A step of the TPM's counter. The record is on the disk before the step is made: a
/// crash between the two leaves a step that is promised and not made, never one that
/// nothing accounts for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The counter's value after the step.
    pub counter: u64,
    /// The streams that have moved since they were last named.
    pub pins: Vec<Pin>,
}

/// A file of the ledger that made room.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerRemoval {
    /// Its name.
    pub file: String,
    /// The number of its last record.
    pub last: u64,
    /// The hash of its last record.
    pub head: Digest,
    /// Which TPM counted, if the root said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Epoch>,
    /// The last value of the counter that it accounts for.
    pub counter: u64,
}

impl LedgerRecord {
    /// A record of the ledger.
    #[must_use]
    pub fn new(seq: u64, boot: u64, stamp: Stamp, next: PublicKey, says: Says) -> Self {
        Self {
            seq,
            boot,
            time: stamp.time,
            boottime: stamp.boottime,
            next,
            says,
        }
    }

    /// Reads a record.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(json: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(json)
    }
}

impl Start {
    /// The certificate, if there is one.
    ///
    /// # Errors
    /// When it is not written as one.
    pub fn certificate(&self) -> Result<Option<Certificate>, CertificateError> {
        self.certificate
            .as_ref()
            .map(|text| Certificate::from_hex(text.as_bytes()))
            .transpose()
    }
}

impl Says {
    /// The streams it names, and how far they had come.
    #[must_use]
    pub fn pins(&self) -> &[Pin] {
        match self {
            Self::Start(start) => &start.pins,
            Self::Anchor(anchor) => &anchor.pins,
            Self::Pin { pins } => pins,
            Self::Stream(registration) => std::slice::from_ref(&registration.pin),
            Self::Restart {} | Self::Removal(_) | Self::Stop {} => &[],
        }
    }
}
