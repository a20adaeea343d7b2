//! Questions that need no secret, with or without a session around them.

use bastide_tpm_policy::{Digest, NvIndex, Pcr};

use crate::command::{Answer, Command};
use crate::{Clock, Properties, Session, Tpm, TpmError, capability, pcr};

/// Somebody to put a question to: a bare [`Tpm`], or a [`Session`], whose answers
/// nobody on the bus can change.
///
/// Ask a bare TPM only where a wrong answer does no more than lead to a wrong message
/// or a refusal.
pub trait Channel: Ask {
    /// The value of a PCR in the SHA-256 bank.
    ///
    /// # Errors
    /// The bank is not active, or the TPM gives no good answer.
    fn read_pcr(&self, pcr: Pcr) -> Result<Digest, TpmError> {
        pcr::read(self, pcr)
    }

    /// Extends a PCR with the digest of `word` (at most 1024 bytes) in every active
    /// bank, as systemd-pcrphase does.
    ///
    /// # Errors
    /// The TPM refuses, or did not extend the SHA-256 bank with what it should.
    fn extend_pcr(&self, pcr: Pcr, word: &str) -> Result<(), TpmError> {
        pcr::extend(self, pcr, word)
    }

    /// Who made the TPM, whose it is, and how it stands with wrong guesses.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    fn properties(&self) -> Result<Properties, TpmError> {
        capability::properties(self)
    }

    /// All NV indices that are defined, whoever did.
    ///
    /// # Errors
    /// The TPM gives no good answer, or names implausibly many.
    fn nv_indices(&self) -> Result<Vec<NvIndex>, TpmError> {
        let handles = capability::handles(self, capability::FIRST_NV_INDEX)?;
        Ok(handles.into_iter().map(NvIndex::from_handle).collect())
    }

    /// The handles of all persistent objects.
    ///
    /// # Errors
    /// As [`Channel::nv_indices`].
    fn persistent_handles(&self) -> Result<Vec<u32>, TpmError> {
        capability::handles(self, capability::FIRST_PERSISTENT)
    }

    /// The TPM's clock.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    fn clock(&self) -> Result<Clock, TpmError> {
        capability::clock(self)
    }
}

impl Channel for Tpm {}
impl Channel for Session<'_> {}

/// How both are asked; of no use outside of this crate.
pub trait Ask {
    /// A command that needs no authorisation.
    #[doc(hidden)]
    fn ask(&self, command: &mut Command) -> Result<Answer, TpmError>;

    /// A command whose first entity has an empty authorisation value.
    #[doc(hidden)]
    fn ask_openly(&self, command: &mut Command) -> Result<Answer, TpmError>;
}

impl Ask for Tpm {
    fn ask(&self, command: &mut Command) -> Result<Answer, TpmError> {
        self.run(command)
    }

    fn ask_openly(&self, command: &mut Command) -> Result<Answer, TpmError> {
        self.run_with_empty_password(command)
    }
}
