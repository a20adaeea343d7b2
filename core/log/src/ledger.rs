//! The ledger as it is written.

use std::fs::File;

use anyhow::{Context, Result};
use bastide_log_format::chain::Chain;
use bastide_log_format::key::Seed;
use bastide_log_format::ledger::Says;
use bastide_log_format::name::{FileName, StreamName};
use bastide_log_format::record::Stamp;

use crate::disk::Disk;
use crate::secret::{Secret, new_seed};

/// The ledger. Each record is on the disk for certain before anything relies on it.
#[derive(Debug)]
pub struct Ledger {
    chain: Chain,
    keys: Keys,
    boot: u64,
    file: File,
    name: FileName,
    size: u64,
}

/// Who signs.
#[derive(Debug)]
pub enum Keys {
    /// A key that the root certified.
    Certified(Box<Secret>),
    /// A key of our own, for want of the other: it shows what was changed, not by whom
    /// it was written.
    Own(Seed),
}

impl Keys {
    /// The key that signs the next record.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        match self {
            Self::Certified(secret) => secret.seed(),
            Self::Own(seed) => seed,
        }
    }

    fn prepare(&mut self, next: &Seed) -> Result<()> {
        match self {
            Self::Certified(secret) => secret.prepare(next.clone()),
            Self::Own(_) => Ok(()),
        }
    }

    fn advance(&mut self, next: Seed) -> Result<()> {
        match self {
            Self::Certified(secret) => secret.advance(),
            Self::Own(seed) => {
                *seed = next;
                Ok(())
            }
        }
    }
}

impl Ledger {
    /// Goes on with a file of `size` bytes at whose end `chain` is.
    #[must_use]
    pub fn new(chain: Chain, keys: Keys, boot: u64, file: File, name: FileName, size: u64) -> Self {
        Self {
            chain,
            keys,
            boot,
            file,
            name,
            size,
        }
    }

    /// Whether it is signed with keys that the root vouches for.
    #[must_use]
    pub fn is_certified(&self) -> bool {
        matches!(self.keys, Keys::Certified(_))
    }

    /// Its file's name.
    #[must_use]
    pub fn name(&self) -> FileName {
        self.name
    }

    /// Its file's size, in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Writes a record, and makes sure that it stays.
    ///
    /// # Errors
    /// When it cannot be written; nothing has changed then, but perhaps in the file of
    /// the secret, which holds the key to go on with in either case.
    pub fn append(&mut self, disk: &impl Disk, stamp: Stamp, says: Says) -> Result<()> {
        let next = new_seed()?;
        self.keys.prepare(&next)?;
        let mut chain = self.chain.clone();
        let mut line = Vec::new();
        chain.ledger(self.boot, stamp, says, self.keys.seed(), &next, &mut line)?;
        disk.append(&mut self.file, self.size, &line)
            .with_context(|| format!("cannot write {}/{}", StreamName::ledger(), self.name))?;
        if let Err(error) = self.file.sync_data() {
            // It may be there or not; it must not be there twice.
            self.file
                .set_len(self.size)
                .context("cannot take a record back")?;
            return Err(error).context("cannot make sure that the ledger's record stays");
        }
        self.size = self.size.saturating_add(line.len() as u64);
        self.chain = chain;
        self.keys.advance(next)
    }
}
