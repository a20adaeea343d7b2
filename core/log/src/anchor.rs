//! The counter that nobody can turn back.

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
///
/// # Errors
/// When there is none.
pub fn of_machine(_auth: &[u8; 32]) -> anyhow::Result<Box<dyn Anchor>> {
    anyhow::bail!("this build has no way to the TPM")
}
