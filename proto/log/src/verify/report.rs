//! What verification has to say.

use serde::{Serialize, Serializer};

use crate::certificate::CertificateError;
use crate::line::LineError;
use crate::name::{FileName, StreamName};

/// Most findings of a kind that are kept; beyond, they are counted.
const MOST: usize = 200;

/// The verdict on a log.
#[derive(Debug, Default, Serialize)]
#[must_use]
pub struct Report {
    /// What is wrong: the log is not what was written.
    pub problems: Vec<Finding>,
    /// What an auditor should know, and honest accidents explain.
    pub notes: Vec<Finding>,
    /// Problems that found no room in the list.
    pub more_problems: u64,
    /// Notes that found no room in the list.
    pub more_notes: u64,
    /// What was not looked at, because the caller verifies without it.
    #[serde(serialize_with = "all_in_words")]
    pub unchecked: Vec<What>,
    /// The streams, the ledger left out.
    pub streams: Vec<StreamSummary>,
    /// Files read.
    pub files: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Boots that have a log.
    pub boots: u64,
    /// Anchors in the ledger.
    pub anchors: u64,
    /// The last value of the TPM's counter that the ledger accounts for.
    pub counter: Option<u64>,
    /// Whether the log has been closed, or still runs (or ended without being closed).
    pub closed: bool,
}

/// A stream as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StreamSummary {
    /// Its name.
    pub name: StreamName,
    /// Records read.
    pub records: u64,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// How many of the last are chained only: after the last seal, and not yet named by
    /// the ledger.
    pub chained_only: u64,
}

/// Something found, and where.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    /// The stream; none for what concerns the whole.
    pub stream: Option<StreamName>,
    /// The file's name.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The record's number.
    pub seq: Option<u64>,
    /// What it is.
    #[serde(serialize_with = "in_words")]
    pub what: What,
}

fn in_words<Output: Serializer>(what: &What, output: Output) -> Result<Output::Ok, Output::Error> {
    output.collect_str(what)
}

fn all_in_words<Output: Serializer>(
    all: &[What],
    output: Output,
) -> Result<Output::Ok, Output::Error> {
    output.collect_seq(all.iter().map(ToString::to_string))
}

/// What can be found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum What {
    /// A line is none.
    #[error("{0}")]
    Line(LineError),
    /// A record is none.
    #[error("the record is not understood: changed, or of another version")]
    Record,
    /// The hash of a line is not that of its text.
    #[error("the record was changed, or something before it was removed, added or moved")]
    Hash,
    /// A number does not follow.
    #[error("record {found} stands where {expected} belongs")]
    Sequence {
        /// What it should be.
        expected: u64,
        /// What it is.
        found: u64,
    },
    /// A record is of another boot than its file.
    #[error("the record is of boot {found}, its file of boot {expected}")]
    Boot {
        /// The file's.
        expected: u64,
        /// The record's.
        found: u64,
    },
    /// A record that must be signed is not, or one that must not be is.
    #[error("a signature is missing or stands where none belongs")]
    SignatureForm,
    /// A signature is not of the key that it must be of.
    #[error("the seal is not of the key that was certified for it")]
    Signature,
    /// A seal where no key is known.
    #[error("the ledger names no key for this seal")]
    NoKey,
    /// A file does not begin as one, or a beginning stands elsewhere.
    #[error("a file's beginning is missing or stands where none belongs")]
    Beginning,
    /// A file is of another stream or another number.
    #[error("the file says that it is part {part} of {stream}")]
    OtherFile {
        /// The stream that it says.
        stream: StreamName,
        /// The part that it says.
        part: u32,
    },
    /// A file does not follow the one before it.
    #[error("the file does not go on where the one before it ends: records are missing or changed")]
    Gap,
    /// A file names another key than the seals before it.
    #[error("the file goes on with another key than the seals before it")]
    OtherKey,
    /// Files are missing at the beginning, and nothing says why.
    #[error("records before {first} are missing, and no record says that they were removed")]
    Missing {
        /// The first that is there.
        first: u64,
    },
    /// Files were removed by rotation, as a sealed record says.
    #[error("records before {first} were removed by rotation")]
    Rotated {
        /// The first that is there.
        first: u64,
    },
    /// The stream ends before what the ledger names.
    #[error("the log ends with record {last}, but record {known} was there: its end was cut")]
    Cut {
        /// The last that is there.
        last: u64,
        /// What the ledger names.
        known: u64,
    },
    /// The ledger names another record of this number.
    #[error(
        "the ledger knows another record of this number: the log was replaced from here or before"
    )]
    Replaced,
    /// The ledger does not know the stream.
    #[error("nothing in the ledger vouches for this stream")]
    Unknown,
    /// All of a stream is gone.
    #[error("all files are missing; the ledger knows {last} records")]
    StreamMissing {
        /// The last record that the ledger names.
        last: u64,
    },
    /// There is no ledger.
    #[error("there is no ledger: nothing shows what else there should be")]
    NoLedger,
    /// A boot's certificate is missing.
    #[error("boot {boot} has no certificate: its log was sealed by nobody known")]
    NotCertified {
        /// The boot.
        boot: u64,
    },
    /// A boot's certificate is refused.
    #[error("{0}")]
    Certificate(CertificateError),
    /// A certificate is of another boot or key than the ledger's record.
    #[error(
        "the certificate is of boot {certified}, and the record of boot {boot} or of another key"
    )]
    OtherCertificate {
        /// What the certificate says.
        certified: u64,
        /// What the record says.
        boot: u64,
    },
    /// The log begins later than it did.
    #[error("the log begins with boot {boot}; the first that this TPM counted was {first}")]
    LateBeginning {
        /// The first boot that is there.
        boot: u64,
        /// The first that was.
        first: u64,
    },
    /// The log begins with the first boot that a TPM counted.
    #[error(
        "the log begins with boot {boot}, the first that this TPM counted: if the machine had another TPM before, that one's log is missing"
    )]
    BeginsWithTpm {
        /// The first boot that is there.
        boot: u64,
    },
    /// Another TPM counts from here on.
    #[error("from boot {boot} on, another TPM counts: right only after recovery with another TPM")]
    OtherTpm {
        /// The boot.
        boot: u64,
    },
    /// Nobody knows whether the log began earlier.
    #[error("the log begins with boot {boot}; whether it was the TPM's first is not recorded")]
    Begins {
        /// The first boot that is there.
        boot: u64,
    },
    /// Steps of the counter that nothing accounts for.
    #[error(
        "nothing accounts for the steps {from} to {to} of the TPM's counter: a boot's log or the end of one is missing"
    )]
    Unaccounted {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Boots that ended before their log began.
    #[error("boot {boot} ended before its log began")]
    Unlogged {
        /// Which.
        boot: u64,
    },
    /// A step that the ledger promised and nobody made.
    #[error(
        "step {counter} of the TPM's counter was written down and not made: a crash came between"
    )]
    Promised {
        /// Which.
        counter: u64,
    },
    /// The counter goes back within the ledger.
    #[error("the TPM's counter goes back from {from} to {to}")]
    Back {
        /// Before.
        from: u64,
        /// After.
        to: u64,
    },
    /// The counter is ahead of the log.
    #[error(
        "the TPM's counter is at {now}, the log accounts for {known}: its end was cut, or an older disk was put back"
    )]
    Ahead {
        /// The counter.
        now: u64,
        /// The log.
        known: u64,
    },
    /// The counter is behind the log.
    #[error(
        "the TPM's counter is at {now}, the log accounts for {known}: another TPM, or a log of another machine"
    )]
    Behind {
        /// The counter.
        now: u64,
        /// The log.
        known: u64,
    },
    /// Nobody said where the counter is.
    #[error("without the TPM's counter, a tail cut at an anchor or a disk put back is not found")]
    NoCounter,
    /// Nobody said what the root's key is.
    #[error("without the root's public key, nothing shows who sealed this log")]
    NoRoot,
    /// A line without end.
    #[error("the file ends within a line: a crash cut {bytes} bytes")]
    Torn {
        /// How many.
        bytes: u64,
    },
    /// A file without a line.
    #[error("the file is empty")]
    Empty,
    /// A boot's log was not closed.
    #[error("boot {boot} ended without its log being closed: a crash, or power was lost")]
    NotClosed {
        /// Which.
        boot: u64,
    },
    /// The log was started anew.
    #[error("the log was started again: what followed the seals before is chained only")]
    Restarted,
    /// Records after the last seal.
    #[error("the last {count} records are chained, not sealed")]
    ChainedOnly {
        /// How many.
        count: u64,
    },
}

/// Where something was found.
#[derive(Debug, Clone, Default)]
pub(super) struct Place {
    stream: Option<StreamName>,
    file: Option<FileName>,
    line: Option<u64>,
    seq: Option<u64>,
}

impl Place {
    pub(super) fn of_stream(stream: &StreamName) -> Self {
        Self {
            stream: Some(stream.clone()),
            ..Self::default()
        }
    }

    pub(super) fn of_line(stream: &StreamName, file: FileName, line: u64) -> Self {
        Self {
            stream: Some(stream.clone()),
            file: Some(file),
            line: Some(line),
            seq: None,
        }
    }

    pub(super) fn at(&self, seq: u64) -> Self {
        Self {
            seq: Some(seq),
            ..self.clone()
        }
    }
}

impl Report {
    /// Whether the log is what was written, as far as was looked ([`Report::unchecked`]).
    /// Notes may still ask for a look.
    #[must_use]
    pub fn is_intact(&self) -> bool {
        self.problems.is_empty() && self.more_problems == 0
    }

    pub(super) fn problem(&mut self, place: Place, what: What) {
        if self.problems.len() < MOST {
            self.problems.push(finding(place, what));
        } else {
            self.more_problems = self.more_problems.saturating_add(1);
        }
    }

    pub(super) fn note(&mut self, place: Place, what: What) {
        if self.notes.len() < MOST {
            self.notes.push(finding(place, what));
        } else {
            self.more_notes = self.more_notes.saturating_add(1);
        }
    }
}

fn finding(place: Place, what: What) -> Finding {
    Finding {
        stream: place.stream,
        file: place.file.map(|file| file.to_string()),
        line: place.line,
        seq: place.seq,
        what,
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(stream) = &self.stream {
            write!(formatter, "{stream}")?;
            if let Some(file) = &self.file {
                write!(formatter, "/{file}")?;
            }
            if let Some(line) = self.line {
                write!(formatter, ":{line}")?;
            }
            if let Some(seq) = self.seq {
                write!(formatter, " (record {seq})")?;
            }
            formatter.write_str(": ")?;
        }
        write!(formatter, "{}", self.what)
    }
}
