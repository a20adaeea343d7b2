//! Taking a TPM over, and giving it back.

use crate::channel::Channel;
use crate::code::{Code, ResponseCode};
use crate::command::{Command, Entity};
use crate::session::Use;
use crate::{Auth, Session, TpmError};

/// `TPM_RH_OWNER`.
pub(crate) const OWNER: u32 = 0x4000_0001;
/// `TPM_RH_LOCKOUT`.
const LOCKOUT: u32 = 0x4000_000a;

/// So many wrong guesses lock what is protected against guessing.
pub const MAX_TRIES: u32 = 32;
/// Seconds until one wrong guess is forgotten.
pub const RECOVERY_INTERVAL: u32 = 600;
/// Seconds for which a wrong lockout authorisation locks that.
pub const LOCKOUT_RECOVERY: u32 = 86_400;

/// Why the TPM is not ours.
#[derive(Debug, thiserror::Error)]
pub enum OwnershipError {
    /// Somebody else set an authorisation value.
    #[error(
        "the TPM belongs to somebody else, who set its {hierarchy} authorisation; clear the TPM in the firmware's settings"
    )]
    Foreign {
        /// `owner` or `lockout`.
        hierarchy: &'static str,
    },
    /// Too many wrong lockout authorisations.
    #[error(
        "the TPM is locked after wrong guesses; leave the machine switched on for a day, or clear the TPM in the firmware's settings"
    )]
    LockedOut,
    /// The TPM gives no good answer.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

impl Session<'_> {
    /// Makes sure that nobody took the TPM yet.
    ///
    /// # Errors
    /// The owner's or lockout authorisation is set.
    pub fn check_unowned(&self) -> Result<(), OwnershipError> {
        let properties = self.properties()?;
        for (set, hierarchy) in [
            (properties.owner_set, "owner"),
            (properties.lockout_set, "lockout"),
        ] {
            if set {
                return Err(OwnershipError::Foreign { hierarchy });
            }
        }
        Ok(())
    }

    /// Takes the TPM over: sets the owner's and lockout authorisation, and how it
    /// protects itself against guessing. May be repeated after it was cut short: what is
    /// ours already stays as it is.
    ///
    /// # Errors
    /// Somebody else took it. The lockout authorisation is only tried when the owner's
    /// is ours, since a wrong try there costs a day.
    pub fn take_ownership(&self, owner: &Auth, lockout: &Auth) -> Result<(), OwnershipError> {
        let properties = self.properties()?;
        self.take(OWNER, "owner", properties.owner_set, owner)?;
        self.take(LOCKOUT, "lockout", properties.lockout_set, lockout)?;

        let entity = Entity::by_handle(LOCKOUT);
        let mut command = Command::new(Code::DICTIONARY_ATTACK_PARAMETERS, &[entity]);
        command
            .parameters
            .u32(MAX_TRIES)
            .u32(RECOVERY_INTERVAL)
            .u32(LOCKOUT_RECOVERY);
        self.run(&mut command, Use::authorizing(lockout))
            .map_err(|error| explained(error, "lockout"))?;
        Ok(())
    }

    /// Gives the TPM back: removes everything of the owner's, storage root key included.
    ///
    /// # Errors
    /// The lockout authorisation is wrong.
    pub fn clear(&self, lockout: &Auth) -> Result<(), OwnershipError> {
        let mut command = Command::new(Code::CLEAR, &[Entity::by_handle(LOCKOUT)]);
        let empty = Auth::empty();
        self.run(&mut command, Use::authorizing(lockout).afterwards(&empty))
            .map_err(|error| explained(error, "lockout"))?;
        Ok(())
    }

    /// Sets a hierarchy's authorisation; where it is set already, this proves that it
    /// is ours.
    fn take(
        &self,
        hierarchy: u32,
        name: &'static str,
        set: bool,
        auth: &Auth,
    ) -> Result<(), OwnershipError> {
        let empty = Auth::empty();
        let current = if set { auth } else { &empty };
        let entity = Entity::by_handle(hierarchy);
        let mut command = Command::new(Code::HIERARCHY_CHANGE_AUTH, &[entity]);
        command.parameters.sized(auth.expose());
        let used = Use::authorizing(current).encrypting().afterwards(auth);
        self.run(&mut command, used)
            .map_err(|error| explained(error, name))?;
        Ok(())
    }
}

fn explained(error: TpmError, hierarchy: &'static str) -> OwnershipError {
    match error.reason() {
        Some(ResponseCode::AUTH_FAIL | ResponseCode::BAD_AUTH) => {
            OwnershipError::Foreign { hierarchy }
        }
        Some(ResponseCode::LOCKOUT) => OwnershipError::LockedOut,
        _ => error.into(),
    }
}
