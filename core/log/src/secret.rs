//! The file `seal`: the one secret of the log, kept where no disk is.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};
use bastide_log_format::certificate::Certificate;
use bastide_log_format::key::{PublicKey, Seed};
use bastide_log_format::seal_file::{SIZE_LIMIT, SealFile};
use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::{Zeroize as _, Zeroizing};

/// A new key, from the kernel's random numbers.
///
/// # Errors
/// When the kernel gives none.
pub fn new_seed() -> Result<Seed> {
    let mut bytes = [0; 32];
    let mut filled = 0;
    while filled < bytes.len() {
        let rest = bytes.get_mut(filled..).unwrap_or_default();
        filled += getrandom(rest, GetRandomFlags::empty()).context("no random numbers")?;
    }
    let seed = Seed::new(bytes);
    bytes.zeroize();
    Ok(seed)
}

/// The secret and its file.
#[derive(Debug)]
pub struct Secret {
    content: SealFile,
    file: Option<File>,
}

impl Secret {
    /// Reads what the initramfs left, or an earlier process of this boot.
    ///
    /// # Errors
    /// When there is none, or it is not understood.
    pub fn read(path: &Path) -> Result<Self> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        // Large enough from the start: growing would leave copies behind.
        let mut json = Zeroizing::new(vec![0; SIZE_LIMIT + 1]);
        let mut length = 0;
        loop {
            match file.read(json.get_mut(length..).unwrap_or_default()) {
                Ok(0) => break,
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(error).with_context(|| format!("cannot read {}", path.display()));
                }
            }
        }
        let json = json.get(..length).unwrap_or_default().trim_ascii_end();
        let content =
            SealFile::parse(json).with_context(|| format!("cannot use {}", path.display()))?;
        Ok(Self {
            content,
            file: Some(file),
        })
    }

    /// A secret without a file, for tests and measurements.
    #[must_use]
    pub fn in_memory(content: SealFile) -> Self {
        Self {
            content,
            file: None,
        }
    }

    /// The boot.
    #[must_use]
    pub fn boot(&self) -> u64 {
        self.content.boot
    }

    /// The root's word for the boot's first key.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.content.certificate
    }

    /// The root's public key.
    #[must_use]
    pub fn root_public(&self) -> PublicKey {
        self.content.root_public
    }

    /// The authorisation value of the TPM's counter.
    #[must_use]
    pub fn anchor_auth(&self) -> &[u8; 32] {
        &self.content.anchor_auth
    }

    /// The key that signs the ledger's next record.
    #[must_use]
    pub fn seed(&self) -> &Seed {
        &self.content.seed
    }

    /// Writes the key after the present one down, before anything names it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn prepare(&mut self, next: Seed) -> Result<()> {
        self.content.next = Some(next);
        self.write()
    }

    /// The present key has done its work: it is erased, here and in the file.
    ///
    /// # Errors
    /// When the file cannot be written; the present key is erased here all the same.
    pub fn advance(&mut self) -> Result<()> {
        if let Some(next) = self.content.next.take() {
            self.content.seed = next;
        }
        self.write()
    }

    /// After a crash: goes on with whichever key the ledger's last record names.
    /// `false`: with neither.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn settle(&mut self, named: &PublicKey) -> Result<bool> {
        let is_next = |seed: &Seed| seed.public() == *named;
        if self.content.next.as_ref().is_some_and(is_next) {
            self.advance()?;
            return Ok(true);
        }
        Ok(is_next(&self.content.seed))
    }

    /// In place, so that what it held is overwritten and not merely let go of; always of
    /// the same length, so that nothing of it stays behind the end.
    fn write(&self) -> Result<()> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let mut json = self
            .content
            .to_json()
            .context("cannot write the seal file")?;
        json.resize(SIZE_LIMIT, b' ');
        file.write_all_at(&json, 0)
            .context("cannot write the seal file")
    }
}
