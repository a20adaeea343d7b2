//! The counter that nobody can turn back.

use anyhow::Context;
use bastide_tpm::{Auth, Session, StorageRoot, Tpm};
use bastide_tpm_policy::Secret;

/// A counter in the TPM (NV index 0x01b05703).
pub trait Anchor {
    /// Its value.
    ///
    /// # Errors
    /// When it cannot be read.
    fn read(&mut self) -> anyhow::Result<u64>;

    /// Raises it by one.
    ///
    /// # Errors
    /// When it cannot be raised; it may have been all the same.
    fn increment(&mut self) -> anyhow::Result<()>;
}

/// A counter in memory, for tests and measurements.
#[derive(Debug, Clone, Default)]
pub struct Fake(std::rc::Rc<std::cell::Cell<u64>>);

impl Fake {
    /// A counter with this value.
    #[must_use]
    pub fn new(value: u64) -> Self {
        let fake = Self::default();
        fake.0.set(value);
        fake
    }
}

impl Anchor for Fake {
    fn read(&mut self) -> anyhow::Result<u64> {
        Ok(self.0.get())
    }

    fn increment(&mut self) -> anyhow::Result<()> {
        self.0.set(self.0.get().saturating_add(1));
        Ok(())
    }
}

/// The counter of the machine's TPM.
struct Counter {
    tpm: Tpm,
    storage_root: StorageRoot,
    auth: Auth,
}

impl Anchor for Counter {
    fn read(&mut self) -> anyhow::Result<u64> {
        let session = Session::salted(&self.tpm, &self.storage_root)?;
        Ok(session.log_count(&self.storage_root)?)
    }

    fn increment(&mut self) -> anyhow::Result<()> {
        let session = Session::salted(&self.tpm, &self.storage_root)?;
        Ok(session.count_log(&self.auth)?)
    }
}

/// The counter of the machine's TPM, to be raised with that authorisation value.
///
/// # Errors
/// There is no TPM, or it was not made this machine's.
pub fn of_machine(auth: &[u8; 32]) -> anyhow::Result<Box<dyn Anchor>> {
    let tpm = Tpm::open()?;
    let storage_root = StorageRoot::find(&tpm)?.context("the TPM holds no storage root key")?;
    Ok(Box::new(Counter {
        tpm,
        storage_root,
        auth: Auth::from_secret(&Secret::new(*auth)),
    }))
}
