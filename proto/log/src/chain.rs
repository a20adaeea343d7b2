//! Writing: the lines that a stream's and the ledger's records become.
//!
//! Both hold what has been written, and what is on its way: a batch that the disk did
//! not take is taken back as if it had never been.

use crate::digest::Digest;
use crate::key::Seed;
use crate::ledger::{LedgerRecord, Pin, Says};
use crate::line::{LONGEST_LINE, Line, sign};
use crate::name::StreamName;
use crate::record::{Body, Record, Seal, Stamp};
use crate::text::{boundary, write_json};

/// Room in a line for the hash, signature and spaces.
const AROUND: usize = 64 + 1 + 129;

/// Where a chain has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    stream: StreamName,
    seq: u64,
    head: Digest,
}

/// Why a record cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// It cannot be written as JSON.
    #[error("a record of {stream} cannot be written as JSON")]
    Json {
        /// The stream.
        stream: StreamName,
        /// Why.
        source: serde_json::Error,
    },
    /// It would be longer than any line that is read.
    #[error("a record of {stream} would be {length} bytes long; the limit is {LONGEST_LINE}")]
    TooLong {
        /// The stream.
        stream: StreamName,
        /// Its length.
        length: usize,
    },
}

impl Chain {
    /// A chain before its first record.
    #[must_use]
    pub fn new(stream: StreamName) -> Self {
        let head = Digest::genesis(&stream);
        Self {
            stream,
            seq: 0,
            head,
        }
    }

    /// A chain that goes on after a record.
    #[must_use]
    pub fn resume(stream: StreamName, seq: u64, head: Digest) -> Self {
        Self { stream, seq, head }
    }

    /// The stream.
    #[must_use]
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// The number of the last record; 0 before the first.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// The hash of the last record.
    #[must_use]
    pub fn head(&self) -> Digest {
        self.head
    }

    /// Where it has come to.
    #[must_use]
    pub fn pin(&self) -> Pin {
        Pin {
            stream: self.stream.clone(),
            seq: self.seq,
            head: self.head,
        }
    }

    /// Adds a record. An entry that is too long once its letters are escaped is cut.
    ///
    /// # Errors
    /// When it cannot be written; the chain and `output` are as before then.
    pub fn append(
        &mut self,
        boot: u64,
        stamp: Stamp,
        body: Body,
        output: &mut Vec<u8>,
    ) -> Result<(), ChainError> {
        let mut record = Record::new(self.seq.saturating_add(1), boot, stamp, body);
        let mut json = self.json(&record)?;
        while json.len() + AROUND > LONGEST_LINE {
            let Some(entry) = &mut record.entry else {
                return Err(self.too_long(json.len()));
            };
            if entry.message.is_empty() && entry.fields.is_empty() {
                return Err(self.too_long(json.len()));
            }
            entry.cut = true;
            entry.fields.clear();
            let half = boundary(&entry.message, entry.message.len() / 2);
            entry.message.truncate(half);
            json = self.json(&record)?;
        }
        self.write(&json, None, output);
        Ok(())
    }

    /// Adds a seal with `key`, and names the key after it.
    ///
    /// # Errors
    /// When it cannot be written; the chain and `output` are as before then.
    pub fn seal(
        &mut self,
        boot: u64,
        stamp: Stamp,
        key: &Seed,
        next: &Seed,
        output: &mut Vec<u8>,
    ) -> Result<(), ChainError> {
        let body = Body::Seal(Seal {
            next: next.public(),
        });
        let record = Record::new(self.seq.saturating_add(1), boot, stamp, body);
        let json = self.json(&record)?;
        self.write(&json, Some(key), output);
        Ok(())
    }

    /// Adds a record of the ledger, signed with `key`, and names the key after it.
    ///
    /// # Errors
    /// When it cannot be written; the chain and `output` are as before then.
    pub fn ledger(
        &mut self,
        boot: u64,
        stamp: Stamp,
        says: Says,
        key: &Seed,
        next: &Seed,
        output: &mut Vec<u8>,
    ) -> Result<(), ChainError> {
        let seq = self.seq.saturating_add(1);
        let record = LedgerRecord::new(seq, boot, stamp, next.public(), says);
        let json = self.json(&record)?;
        if json.len() + AROUND > LONGEST_LINE {
            return Err(self.too_long(json.len()));
        }
        self.write(&json, Some(key), output);
        Ok(())
    }

    fn json(&self, record: &impl serde::Serialize) -> Result<Vec<u8>, ChainError> {
        let mut json = Vec::with_capacity(512);
        match write_json(record, &mut json) {
            Ok(()) => Ok(json),
            Err(source) => Err(ChainError::Json {
                stream: self.stream.clone(),
                source,
            }),
        }
    }

    fn too_long(&self, length: usize) -> ChainError {
        ChainError::TooLong {
            stream: self.stream.clone(),
            length,
        }
    }

    fn write(&mut self, json: &[u8], key: Option<&Seed>, output: &mut Vec<u8>) {
        let hash = self.head.follow(json);
        let signature = key.map(|key| sign(key, &self.stream, &hash));
        let line = Line {
            hash,
            json,
            signature,
        };
        line.write(output);
        self.seq = self.seq.saturating_add(1);
        self.head = hash;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry::{Kind, LONGEST_MESSAGE, Priority, Said, Source};

    #[test]
    fn the_longest_entry_makes_a_line_that_is_read() {
        let mut chain = Chain::new(StreamName::new("kernel").unwrap());
        let mut said = Said::new(Priority::ERROR, "\u{1}".repeat(LONGEST_MESSAGE * 2));
        said.field("a", &"\u{9b}".repeat(5000));
        let entry = said.by(Source {
            kind: Kind::Kernel,
            name: "\u{1}".repeat(48),
            uid: None,
            pid: None,
        });
        let mut output = Vec::new();
        chain
            .append(1, Stamp::default(), Body::Entry(entry), &mut output)
            .unwrap();
        output.pop();
        let line = Line::parse(&output).unwrap();
        let record = Record::parse(line.json).unwrap();
        assert!(record.entry.unwrap().cut);
        assert_eq!(chain.seq(), 1);
        assert_eq!(chain.head(), line.hash);
    }
}
