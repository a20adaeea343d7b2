//! `org.bastide.Log`: asking the log, verifying it, and taking it away.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::message::{Call, Reply};
use crate::standard::StandardError;

/// The interface's name.
pub const INTERFACE: &str = "org.bastide.Log";

/// The interface's definition.
pub const DESCRIPTION: &str = include_str!("../org.bastide.Log.varlink");

/// Most entries that one call without `more` gives.
pub const MOST_ENTRIES: u64 = 1000;

/// The methods of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Entries that fit filters.
    Query,
    /// Verifies everything on the disk.
    Verify,
    /// How the log does.
    Status,
    /// Every file as it is.
    Export,
    /// Seals everything and raises the TPM's counter.
    Anchor,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Query,
        Self::Verify,
        Self::Status,
        Self::Export,
        Self::Anchor,
    ];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Verify => "Verify",
            Self::Status => "Status",
            Self::Export => "Export",
            Self::Anchor => "Anchor",
        }
    }
}

/// A call with its parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Entries that fit filters.
    Query(Box<Query>),
    /// Verifies everything on the disk.
    Verify,
    /// How the log does.
    Status,
    /// Every file as it is.
    Export,
    /// Seals everything and raises the TPM's counter.
    Anchor,
}

impl Request {
    /// Finds out what a call means.
    ///
    /// # Errors
    /// The reply that says what is wrong with the call.
    pub fn of(call: &Call, method: &str) -> Result<Self, Reply> {
        let found = Method::ALL
            .into_iter()
            .find(|known| known.as_str() == method);
        let Some(found) = found else {
            return Err(StandardError::MethodNotFound {
                method: call.method.clone(),
            }
            .into());
        };
        if found != Method::Query {
            call.no_parameters()?;
        }
        Ok(match found {
            Method::Query => Self::Query(Box::new(Query::of(call)?)),
            Method::Verify => Self::Verify,
            Method::Status => Self::Status,
            Method::Export => Self::Export,
            Method::Anchor => Self::Anchor,
        })
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> Method {
        match self {
            Self::Query(_) => Method::Query,
            Self::Verify => Method::Verify,
            Self::Status => Method::Status,
            Self::Export => Method::Export,
            Self::Anchor => Method::Anchor,
        }
    }
}

/// The filters of `Query`; what is absent fits everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Query {
    /// The earliest time.
    pub since: Option<u64>,
    /// The time before which an entry must be.
    pub until: Option<u64>,
    /// The boot.
    pub boot: Option<u64>,
    /// The stream.
    pub source: Option<String>,
    /// The least grave priority, 0 to 7.
    pub priority: Option<u8>,
    /// Part of the message.
    pub text: Option<String>,
    /// Most entries.
    pub limit: Option<u64>,
    /// The last ones instead of the first.
    pub newest: Option<bool>,
    /// Also what comes later.
    pub follow: Option<bool>,
}

impl Query {
    fn of(call: &Call) -> Result<Self, Reply> {
        let mut query = Self::default();
        for (name, value) in call.parameters.iter().flatten() {
            let invalid = || {
                Reply::from(StandardError::InvalidParameter {
                    parameter: name.clone(),
                })
            };
            // One by one, so that the refusal names the parameter.
            match name.as_str() {
                "since" => query.since = read(value).ok_or_else(invalid)?,
                "until" => query.until = read(value).ok_or_else(invalid)?,
                "boot" => query.boot = read(value).ok_or_else(invalid)?,
                "source" => query.source = read(value).ok_or_else(invalid)?,
                "priority" => query.priority = read(value).ok_or_else(invalid)?,
                "text" => query.text = read(value).ok_or_else(invalid)?,
                "limit" => query.limit = read(value).ok_or_else(invalid)?,
                "newest" => query.newest = read(value).ok_or_else(invalid)?,
                "follow" => query.follow = read(value).ok_or_else(invalid)?,
                _ => return Err(invalid()),
            }
        }
        Ok(query)
    }
}

fn read<Content: DeserializeOwned>(value: &Value) -> Option<Content> {
    serde_json::from_value(value.clone()).ok()
}

/// The reply of a log that has too much to do.
#[must_use]
pub fn busy() -> Reply {
    Reply::error(INTERFACE, "Busy")
}

/// The reply of a log that cannot read one of its files.
#[must_use]
pub fn unreadable(file: &str) -> Reply {
    let mut reply = Reply::error(INTERFACE, "Unreadable");
    reply.parameters.insert("file".to_owned(), file.into());
    reply
}

/// Who said it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// By what way it came.
    pub kind: String,
    /// The service, or the user's name.
    pub name: String,
    /// The user.
    pub uid: Option<u32>,
    /// The process.
    pub pid: Option<u32>,
}

/// A field of an entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The stream.
    pub stream: String,
    /// The record's number in it.
    pub seq: u64,
    /// The boot.
    pub boot: u64,
    /// Microseconds since 1970.
    pub time: u64,
    /// Microseconds since the machine was started.
    pub boottime: u64,
    /// Who said it.
    pub source: Option<Source>,
    /// How grave, 0 to 7.
    pub priority: u8,
    /// syslog's facility.
    pub facility: Option<u8>,
    /// What.
    pub message: String,
    /// What more.
    pub fields: Vec<Field>,
    /// Whether something was longer than is kept.
    pub cut: bool,
    /// Entries that were not kept, when that is what this one says.
    pub dropped: Option<u64>,
}

/// The reply of `Query`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entries {
    /// The entries.
    pub entries: Vec<Entry>,
}

/// Something that verification found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The stream.
    pub stream: Option<String>,
    /// The file.
    pub file: Option<String>,
    /// The line, from 1.
    pub line: Option<u64>,
    /// The record's number.
    pub seq: Option<u64>,
    /// What it is.
    pub what: String,
}

/// A stream as verification found it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Its name.
    pub name: String,
    /// Records read.
    pub records: u64,
    /// The number of the first.
    pub first: u64,
    /// The number of the last.
    pub last: u64,
    /// How many of the last are chained only.
    pub chained_only: u64,
}

/// The reply of `Verify`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Whether there is no problem.
    pub intact: bool,
    /// What is wrong.
    pub problems: Vec<Finding>,
    /// What an auditor should know.
    pub notes: Vec<Finding>,
    /// Problems that found no room.
    pub more_problems: u64,
    /// Notes that found no room.
    pub more_notes: u64,
    /// The streams.
    pub streams: Vec<Verified>,
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
    /// The key that it was verified against; empty when there is none.
    pub root_public: String,
}

/// A stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its name.
    pub name: String,
    /// Its files.
    pub files: u64,
    /// Their size.
    pub bytes: u64,
    /// Records that ever were.
    pub records: u64,
    /// Entries kept since the log was started.
    pub kept: u64,
    /// Entries dropped since the log was started.
    pub dropped: u64,
}

/// The last anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchored {
    /// The value of the TPM's counter.
    pub counter: u64,
    /// When, in microseconds since 1970.
    pub at: u64,
}

/// The state volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// Its size.
    pub bytes: u64,
    /// What is left.
    pub free: u64,
    /// How full it is.
    pub percent: u64,
}

/// The reply of `Status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The boot.
    pub boot: u64,
    /// The streams.
    pub streams: Vec<Stream>,
    /// All streams together.
    pub bytes: u64,
    /// What they may take.
    pub bound: u64,
    /// What each is sure of.
    pub share: u64,
    /// The ledger.
    pub ledger_bytes: u64,
    /// When something was last sealed.
    pub sealed_at: Option<u64>,
    /// The last anchor.
    pub anchor: Option<Anchored>,
    /// Entries kept since the log was started.
    pub entries: u64,
    /// Entries per second of late.
    pub entries_per_second: u64,
    /// What went wrong since the log was started.
    pub failures: u64,
    /// What went wrong last.
    pub last_failure: Option<String>,
    /// The state volume.
    pub disk: Option<Disk>,
}

/// A reply of `Export`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// The file.
    pub file: Option<String>,
    /// Where in the file.
    pub offset: Option<u64>,
    /// What is there, in Base64.
    pub content: Option<String>,
    /// The root's public key; in the last reply only.
    pub root_public: Option<String>,
    /// The TPM's counter; in the last reply only.
    pub counter: Option<u64>,
}

/// The reply of `Anchor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AnchorReply {
    /// The last anchor.
    pub anchor: Option<Anchored>,
}
