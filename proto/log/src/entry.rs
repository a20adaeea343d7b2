//! An entry: what a source said.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::text::cut;

/// The longest message, in bytes; the rest is cut.
pub const LONGEST_MESSAGE: usize = 8 * 1024;

/// Most fields of an entry.
pub const MOST_FIELDS: usize = 32;

/// The longest name of a field, in bytes (journald's own limit).
pub const LONGEST_FIELD_NAME: usize = 64;

/// The longest value of a field, in bytes; the rest is cut.
pub const LONGEST_FIELD: usize = 2 * 1024;

/// All fields of an entry together, in bytes; those that do not fit are left out.
pub const ALL_FIELDS: usize = 8 * 1024;

/// By what way an entry came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The kernel's log.
    Kernel,
    /// The kernel's audit.
    Audit,
    /// The output of a service.
    Output,
    /// The syslog socket.
    Syslog,
    /// The journal socket.
    Journal,
    /// The log itself.
    Log,
}

impl Kind {
    /// The name in records.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Audit => "audit",
            Self::Output => "output",
            Self::Syslog => "syslog",
            Self::Journal => "journal",
            Self::Log => "log",
        }
    }
}

/// Who said it: as the kernel or PID 1 names it, never as the message does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The way.
    pub kind: Kind,
    /// The service, or the user's name.
    pub name: String,
    /// The user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<u32>,
    /// The process, where it can be seen from the log's own namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
}

/// How grave it is (RFC 5424, section 6.2.1), gravest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "u8", into = "u8")]
pub struct Priority(u8);

/// A number that is no priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a priority is a number from 0 (emergency) to 7 (debug), not {0}")]
pub struct NoPriority(u8);

impl Priority {
    /// The system is unusable.
    pub const EMERGENCY: Self = Self(0);
    /// A critical condition: such an entry is sealed at once.
    pub const CRITICAL: Self = Self(2);
    /// An error.
    pub const ERROR: Self = Self(3);
    /// A warning.
    pub const WARNING: Self = Self(4);
    /// Normal, but worth notice.
    pub const NOTICE: Self = Self(5);
    /// What an administrator would care about.
    pub const INFORMATION: Self = Self(6);

    /// The number.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }

    /// The lower three bits of syslog's `<N>`.
    #[must_use]
    pub fn of_syslog(number: u32) -> Self {
        // Three bits fit in any integer.
        Self(u8::try_from(number & 7).unwrap_or(7))
    }
}

impl TryFrom<u8> for Priority {
    type Error = NoPriority;

    fn try_from(number: u8) -> Result<Self, NoPriority> {
        if number <= 7 {
            Ok(Self(number))
        } else {
            Err(NoPriority(number))
        }
    }
}

impl From<Priority> for u8 {
    fn from(priority: Priority) -> u8 {
        priority.0
    }
}

/// What a source said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Who.
    pub source: Source,
    /// How grave.
    pub priority: Priority,
    /// syslog's facility (RFC 5424, section 6.2.1), 0 to 23.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub facility: Option<u8>,
    /// What.
    pub message: String,
    /// What more, as the source itself names it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub fields: BTreeMap<String, String>,
    /// Whether something was longer than is kept.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// What a parser gets out of a message: an entry without its source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How grave.
    pub priority: Priority,
    /// syslog's facility.
    pub facility: Option<u8>,
    /// What.
    pub message: String,
    /// What more.
    pub fields: BTreeMap<String, String>,
    /// Whether something was longer than is kept.
    pub cut: bool,
}

impl Said {
    /// Words without anything else.
    #[must_use]
    pub fn new(priority: Priority, message: String) -> Self {
        Self {
            priority,
            facility: None,
            message,
            fields: BTreeMap::new(),
            cut: false,
        }
    }

    /// Adds a field, unless there is no room.
    pub fn field(&mut self, name: &str, value: &str) {
        let used: usize = self
            .fields
            .iter()
            .map(|(name, value)| name.len() + value.len())
            .sum();
        let mut value = value.to_owned();
        self.cut |= cut(&mut value, LONGEST_FIELD);
        let fits = self.fields.len() < MOST_FIELDS && used + name.len() + value.len() <= ALL_FIELDS;
        if fits && name.len() <= LONGEST_FIELD_NAME {
            self.fields.insert(name.to_owned(), value);
        } else {
            self.cut = true;
        }
    }

    /// The entry of a source.
    #[must_use]
    pub fn by(mut self, source: Source) -> Entry {
        let cut_message = cut(&mut self.message, LONGEST_MESSAGE);
        Entry {
            source,
            priority: self.priority,
            facility: self.facility,
            message: self.message,
            fields: self.fields,
            cut: self.cut || cut_message,
        }
    }
}
