//! NV indices of ours.
//!
//! A session's HMAC covers the name of the index that a command is for, and the name is
//! the digest of all attributes. So a command to an index that looks like ours and is
//! not fails in the TPM.

use bastide_tpm_policy::{
    LOG_COUNTER, NvDefinition, NvIndex, RECORD, Record, RecordError, Release, VERSION,
};

use crate::channel::{Ask, Channel};
use crate::code::{Code, ResponseCode};
use crate::command::{Answer, Command, Entity};
use crate::owner::OWNER;
use crate::session::Use;
use crate::{Auth, Session, StorageRoot, Tpm, TpmError};

const LARGEST_PUBLIC: usize = 128;

/// Why an NV index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum NvError {
    /// Somebody defined it otherwise.
    #[error(
        "the TPM's NV index {index:#x} was not defined by Bastide; remove it with its owner's tools, or clear the TPM in the firmware's settings"
    )]
    Foreign {
        /// Its handle.
        index: u32,
    },
    /// Nobody defined it.
    #[error("the TPM has no NV index {index:#x}")]
    Absent {
        /// Its handle.
        index: u32,
    },
    /// Nobody wrote it.
    #[error("the TPM's NV index {index:#x} was never written")]
    NeverWritten {
        /// Its handle.
        index: u32,
    },
    /// The authorisation is not what the TPM knows.
    #[error("the authorisation for the TPM's NV index {index:#x} is wrong")]
    Authorization {
        /// Its handle.
        index: u32,
    },
    /// The content does not have the index's size.
    #[error("the TPM's NV index {index:#x} holds {size} bytes, not {given}")]
    Size {
        /// Its handle.
        index: u32,
        /// Its size.
        size: u16,
        /// What was to be written.
        given: usize,
    },
    /// What the record's index holds is no record.
    #[error("the TPM's NV index of the provisioning record holds something else")]
    Record(#[source] RecordError),
    /// A version counter never goes back.
    #[error("release {oldest} was here before: the version counter does not go back to {release}")]
    Backwards {
        /// What was to be written.
        release: Release,
        /// What is there.
        oldest: Release,
    },
    /// The TPM has no room left.
    #[error(
        "the TPM has no room for another NV index; remove some, or clear the TPM in the firmware's settings"
    )]
    Full,
    /// The TPM gives no good answer.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

/// How far an index of ours is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum NvState {
    /// Nobody defined it.
    Absent,
    /// It was defined and never written.
    Defined,
    /// It holds something.
    Written,
}

impl Session<'_> {
    /// How far an index of ours is. That it is absent, nobody on the bus can pretend.
    ///
    /// # Errors
    /// Somebody defined it otherwise, or the TPM gives no good answer.
    pub fn nv_state(&self, definition: &NvDefinition) -> Result<NvState, NvError> {
        if !self.nv_indices()?.contains(&definition.index) {
            return Ok(NvState::Absent);
        }
        match read_public(self.tpm(), definition)? {
            NvState::Absent => Err(foreign(definition.index)),
            state => Ok(state),
        }
    }

    /// Defines an index of ours, to be used with `auth`.
    ///
    /// # Errors
    /// The owner's authorisation is wrong, the index exists, or there is no room.
    pub fn define_nv(
        &self,
        definition: &NvDefinition,
        owner: &Auth,
        auth: &Auth,
    ) -> Result<(), NvError> {
        let mut command = Command::new(Code::NV_DEFINE_SPACE, &[Entity::by_handle(OWNER)]);
        command
            .parameters
            .sized(auth.expose())
            .sized(&definition.public_area(false));
        self.run(&mut command, Use::authorizing(owner).encrypting())
            .map_err(explained(definition.index))?;
        Ok(())
    }

    /// Removes an index of ours.
    ///
    /// # Errors
    /// It is absent or not ours, or the owner's authorisation is wrong.
    pub fn undefine_nv(&self, definition: &NvDefinition, owner: &Auth) -> Result<(), NvError> {
        let index = self.entity(definition)?.0;
        let entities = [Entity::by_handle(OWNER), index];
        let mut command = Command::new(Code::NV_UNDEFINE_SPACE, &entities);
        self.run(&mut command, Use::authorizing(owner))
            .map_err(explained(definition.index))?;
        Ok(())
    }

    /// Writes the whole of an index that the owner writes.
    ///
    /// # Errors
    /// It is absent or not ours, the content has another size, or the owner's
    /// authorisation is wrong.
    pub fn write_nv(
        &self,
        definition: &NvDefinition,
        owner: &Auth,
        content: &[u8],
    ) -> Result<(), NvError> {
        if content.len() != usize::from(definition.size) {
            return Err(NvError::Size {
                index: definition.index.handle(),
                size: definition.size,
                given: content.len(),
            });
        }
        let index = self.entity(definition)?.0;
        let mut command = Command::new(Code::NV_WRITE, &[Entity::by_handle(OWNER), index]);
        command.parameters.sized(content).u16(0);
        self.run(&mut command, Use::authorizing(owner).encrypting())
            .map_err(explained(definition.index))?;
        Ok(())
    }

    /// Reads the whole of an index with its own authorisation.
    ///
    /// # Errors
    /// It is absent, not ours or never written, or the authorisation is wrong.
    pub fn read_nv(&self, definition: &NvDefinition, auth: &Auth) -> Result<Vec<u8>, NvError> {
        let (index, written) = self.entity(definition)?;
        if !written {
            return Err(NvError::NeverWritten {
                index: definition.index.handle(),
            });
        }
        let mut command = read_command(definition, index);
        let answer = self
            .run(&mut command, Use::authorizing(auth).decrypting())
            .map_err(explained(definition.index))?;
        content(definition, &answer)
    }

    /// The provisioning record; `None` when the index is absent or was never written:
    /// the machine is not provisioned.
    ///
    /// # Errors
    /// The index is not ours, holds no record, or the TPM gives no good answer.
    pub fn record(&self) -> Result<Option<Record>, NvError> {
        if self.nv_state(&RECORD)? != NvState::Written {
            return Ok(None);
        }
        let bytes = self.read_nv(&RECORD, &Auth::empty())?;
        Record::decode(&bytes).map(Some).map_err(NvError::Record)
    }

    /// Writes the provisioning record, for which it defines the index if need be.
    ///
    /// # Errors
    /// As [`Session::define_nv`] and [`Session::write_nv`].
    pub fn write_record(&self, owner: &Auth, record: &Record) -> Result<(), NvError> {
        self.ensure_nv(&RECORD, owner, &Auth::empty())?;
        self.write_nv(&RECORD, owner, &record.encode())
    }

    /// The oldest release that may open the state; `None` when the index is absent or
    /// was never written.
    ///
    /// # Errors
    /// The index is not ours, or the TPM gives no good answer.
    pub fn oldest_release(&self) -> Result<Option<Release>, NvError> {
        if self.nv_state(&VERSION)? != NvState::Written {
            return Ok(None);
        }
        Ok(Some(release(&self.read_nv(&VERSION, &Auth::empty())?)))
    }

    /// Makes a release the oldest that may open the state. Defines the index if need be;
    /// writes nothing when it says so already.
    ///
    /// # Errors
    /// A newer release was here before, or as [`Session::write_nv`].
    pub fn raise_oldest_release(&self, owner: &Auth, release: Release) -> Result<(), NvError> {
        match self.oldest_release()? {
            Some(oldest) if oldest == release => return Ok(()),
            Some(oldest) if oldest > release => {
                return Err(NvError::Backwards { release, oldest });
            }
            Some(_) => {}
            None => self.ensure_nv(&VERSION, owner, &Auth::empty())?,
        }
        self.write_nv(&VERSION, owner, &release.to_bytes())
    }

    /// Makes a release the oldest that may open the state, where none is yet.
    ///
    /// # Errors
    /// As [`Session::raise_oldest_release`].
    pub fn ensure_oldest_release(&self, owner: &Auth, release: Release) -> Result<(), NvError> {
        match self.oldest_release()? {
            Some(_) => Ok(()),
            None => self.raise_oldest_release(owner, release),
        }
    }

    /// Defines an index of ours unless it is there.
    ///
    /// # Errors
    /// Somebody defined it otherwise, or as [`Session::define_nv`].
    pub fn ensure_nv(
        &self,
        definition: &NvDefinition,
        owner: &Auth,
        auth: &Auth,
    ) -> Result<(), NvError> {
        match self.nv_state(definition)? {
            NvState::Absent => self.define_nv(definition, owner, auth),
            NvState::Defined | NvState::Written => Ok(()),
        }
    }

    /// Counts the log's counter up by one. The first time, it starts above every counter
    /// that the TPM ever had.
    ///
    /// # Errors
    /// It is absent or not ours, or the authorisation is wrong.
    pub fn count_log(&self, auth: &Auth) -> Result<(), NvError> {
        let index = self.entity(&LOG_COUNTER)?.0;
        // The index authorises itself, and is what it works on.
        let mut command = Command::new(Code::NV_INCREMENT, &[index, index]);
        self.run(&mut command, Use::authorizing(auth))
            .map_err(explained(LOG_COUNTER.index))?;
        Ok(())
    }

    /// The log's counter, which everybody may read.
    ///
    /// # Errors
    /// It is absent, not ours or never counted, or the TPM gives no good answer.
    pub fn log_count(&self, storage_root: &StorageRoot) -> Result<u64, NvError> {
        let (index, written) = self.entity(&LOG_COUNTER)?;
        if !written {
            return Err(NvError::NeverWritten {
                index: LOG_COUNTER.index.handle(),
            });
        }
        let policy = Session::policy(self.tpm(), storage_root)?;
        let mut command = Command::new(
            Code::POLICY_COMMAND_CODE,
            &[Entity::by_handle(policy.handle())],
        );
        command.parameters.u32(Code::NV_READ.number);
        self.tpm().run(&command)?;
        let mut command = read_command(&LOG_COUNTER, index);
        let answer = policy
            .run(&mut command, Use::in_policy())
            .map_err(explained(LOG_COUNTER.index))?;
        let bytes = content(&LOG_COUNTER, &answer)?;
        Ok(u64::from_be_bytes(eight(&bytes)))
    }

    /// The index as commands name it, and whether it was written.
    fn entity(&self, definition: &NvDefinition) -> Result<(Entity, bool), NvError> {
        let written = match read_public(self.tpm(), definition)? {
            NvState::Absent => {
                return Err(NvError::Absent {
                    index: definition.index.handle(),
                });
            }
            NvState::Defined => false,
            NvState::Written => true,
        };
        Ok((entity(definition, written), written))
    }
}

pub(crate) fn entity(definition: &NvDefinition, written: bool) -> Entity {
    Entity::named(definition.index.handle(), definition.name(written))
}

/// The oldest release that may open the state, over the bare bus: to explain a refusal.
pub(crate) fn oldest_release_unverified(tpm: &Tpm) -> Result<Release, NvError> {
    read_unverified(tpm, &VERSION).map(|bytes| release(&bytes))
}

/// How often the machine secret was sealed, over the bare bus: to explain a refusal.
pub(crate) fn sealings_unverified(tpm: &Tpm) -> Result<u32, NvError> {
    let bytes = read_unverified(tpm, &RECORD)?;
    Record::decode(&bytes)
        .map(|record| record.sealings)
        .map_err(NvError::Record)
}

fn read_unverified(tpm: &Tpm, definition: &NvDefinition) -> Result<Vec<u8>, NvError> {
    let index = definition.index.handle();
    match read_public(tpm, definition)? {
        NvState::Absent => return Err(NvError::Absent { index }),
        NvState::Defined => return Err(NvError::NeverWritten { index }),
        NvState::Written => {}
    }
    let mut command = read_command(definition, entity(definition, true));
    let answer = tpm
        .ask_openly(&mut command)
        .map_err(explained(definition.index))?;
    content(definition, &answer)
}

/// Compares an index with what it should be. Over the bare bus: what is wrong here, the
/// next command in a session finds.
fn read_public(tpm: &Tpm, definition: &NvDefinition) -> Result<NvState, NvError> {
    let mut command = Command::new(Code::NV_READ_PUBLIC, &[]);
    command.parameters.u32(definition.index.handle());
    let answer = match tpm.run(&command) {
        Err(error) if error.reason() == Some(ResponseCode::HANDLE) => return Ok(NvState::Absent),
        other => other?,
    };
    let (public, name) = answer.read(|reader| {
        let public = reader.sized(LARGEST_PUBLIC)?.to_vec();
        Some((public, reader.sized(66)?.to_vec()))
    })?;
    for (written, state) in [(false, NvState::Defined), (true, NvState::Written)] {
        let ours = public == definition.public_area(written);
        if ours && name == definition.name(written).as_bytes() {
            return Ok(state);
        }
    }
    Err(foreign(definition.index))
}

fn read_command(definition: &NvDefinition, index: Entity) -> Command {
    let mut command = Command::new(Code::NV_READ, &[index, index]);
    command.parameters.u16(definition.size).u16(0);
    command
}

fn content(definition: &NvDefinition, answer: &Answer) -> Result<Vec<u8>, NvError> {
    let size = usize::from(definition.size);
    Ok(answer.read(|reader| {
        let bytes = reader.sized(size)?;
        (bytes.len() == size).then(|| bytes.to_vec())
    })?)
}

fn release(bytes: &[u8]) -> Release {
    Release::from_bytes(eight(bytes))
}

/// `content` made sure of the length.
fn eight(bytes: &[u8]) -> [u8; 8] {
    std::array::from_fn(|place| bytes.get(place).copied().unwrap_or_default())
}

fn foreign(index: NvIndex) -> NvError {
    NvError::Foreign {
        index: index.handle(),
    }
}

fn explained(index: NvIndex) -> impl FnOnce(TpmError) -> NvError {
    let index = index.handle();
    move |error| match error.reason() {
        Some(ResponseCode::AUTH_FAIL | ResponseCode::BAD_AUTH) => NvError::Authorization { index },
        Some(ResponseCode::NV_SPACE) => NvError::Full,
        _ => NvError::Tpm(error),
    }
}
