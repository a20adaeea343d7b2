//! Unsealing the machine secret, and saying why a TPM does not.

use bastide_tpm_policy::{
    ApprovedPolicy, Digest, KERNEL_BUNDLE_PCR, MachineSecret, Name, NvDefinition, POLICY_REFERENCE,
    Pcr, PcrKey, PcrKeyKind, RECORD, Release, SEALINGS_OFFSET, SECURE_BOOT_PCR, Sealed, Secret,
    SignatureFile, VERSION, approval, approved_policy,
};
use zeroize::Zeroizing;

use crate::channel::Channel;
use crate::code::{Code, ResponseCode};
use crate::command::{Command, Entity};
use crate::owner::OWNER;
use crate::session::Use;
use crate::tpm::Loaded;
use crate::{Auth, NvError, Session, StorageRoot, Tpm, TpmError, nv, signature};

/// `TPM_EO_EQ`.
const EQUAL: u16 = 0x0000;
/// `TPM_EO_UNSIGNED_LE`.
const UNSIGNED_LE: u16 = 0x0009;

/// What is unsealed, and what the kernel bundle says for itself.
#[derive(Clone, Copy, Debug)]
pub struct Unsealing<'a> {
    /// The sealed machine secret.
    pub sealed: &'a Sealed,
    /// The PCR key that came with the kernel bundle.
    pub pcr_key: &'a PcrKey,
    /// The policies that it approved.
    pub signatures: &'a SignatureFile,
}

/// Why the TPM does not give the machine secret out.
#[derive(Debug, thiserror::Error)]
pub enum UnsealError {
    /// It was sealed to another TPM, the TPM was cleared since, or it was changed.
    #[error("the state was sealed to another TPM, or this one was cleared")]
    OtherTpm,
    /// Another owner's releases may open it.
    #[error("the state belongs to the releases of another owner's PCR key")]
    OtherOwner {
        /// Whose may.
        sealed: Name,
        /// Whose this is.
        present: Name,
    },
    /// PCR 7 is another: Secure Boot was switched, or its keys changed.
    #[error("Secure Boot is not as it was when the state was sealed (PCR 7)")]
    SecureBootChanged {
        /// PCR 7 when sealed.
        sealed: Digest,
        /// PCR 7 now.
        present: Digest,
    },
    /// The PCR key approved nothing that fits PCR 11.
    #[error(
        "the owner signed no policy for what was measured into PCR 11: another kernel bundle, or not this phase of the boot"
    )]
    NotApproved {
        /// PCR 11 now.
        present: Digest,
    },
    /// A newer release was here.
    #[error("release {release} is older than {oldest}, which was here before")]
    ReleaseTooOld {
        /// This one.
        release: Release,
        /// The oldest that may open the state.
        oldest: Release,
    },
    /// The signature is not the PCR key's.
    #[error("the signature of the approved policy is not the PCR key's")]
    SignatureInvalid,
    /// The machine was sealed again since.
    #[error("the state was sealed to this machine again since (sealing {sealed}, now {present})")]
    SealedAgain {
        /// Which sealing this is.
        sealed: u32,
        /// Which is the current one.
        present: u32,
    },
    /// The record is not as it should be.
    #[error("the TPM's provisioning record cannot be used")]
    Record(#[source] NvError),
    /// The version index is not as it should be.
    #[error("the TPM's version counter cannot be used")]
    VersionCounter(#[source] NvError),
    /// The TPM refuses the policy for a reason that did not show: a PCR or the counter
    /// changed meanwhile, or the sealed policy is another.
    #[error("the TPM does not find the policy met")]
    Policy,
    /// Too many wrong guesses.
    #[error("the TPM is locked after wrong guesses")]
    LockedOut,
    /// The TPM gives no good answer.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

impl Tpm {
    /// Unseals the machine secret. Looks first at what the TPM will compare, so that a
    /// refusal can be explained; what decides is the TPM.
    ///
    /// # Errors
    /// The TPM refuses, or will.
    pub fn unseal(
        &self,
        storage_root: &StorageRoot,
        what: &Unsealing<'_>,
    ) -> Result<MachineSecret, UnsealError> {
        let approved = self.look(storage_root, what)?;
        self.unseal_unseen(storage_root, what, approved)
    }

    /// Unseals without looking first: what refuses is the TPM, whose reasons are few.
    ///
    /// # Errors
    /// The TPM refuses.
    pub fn unseal_unseen(
        &self,
        storage_root: &StorageRoot,
        what: &Unsealing<'_>,
        approved: &ApprovedPolicy,
    ) -> Result<MachineSecret, UnsealError> {
        let object = self.load(storage_root, what.sealed)?;
        let session = Session::policy(self, storage_root)?;
        self.policy_pcr(&session, KERNEL_BUNDLE_PCR)?;
        let release = approved.release.to_bytes();
        self.policy_nv(&session, &VERSION, &release, 0, UNSIGNED_LE)?;
        self.policy_authorize(&session, what.pcr_key, approved)?;
        self.policy_pcr(&session, SECURE_BOOT_PCR)?;
        let sealings = what.sealed.sealings.to_be_bytes();
        self.policy_nv(&session, &RECORD, &sealings, SEALINGS_OFFSET, EQUAL)?;

        let mut command = Command::new(Code::UNSEAL, &[object.entity]);
        let answer = session
            .run(&mut command, Use::in_policy().decrypting())
            .map_err(explained)?;
        let secret = answer.read(|reader| {
            let bytes: [u8; 32] = reader.sized(32)?.try_into().ok()?;
            Some(Zeroizing::new(bytes))
        })?;
        Ok(MachineSecret::new(Secret::new(*secret)))
    }

    /// Compares what the TPM will compare, and picks the approved policy that fits.
    fn look<'a>(
        &self,
        storage_root: &StorageRoot,
        what: &Unsealing<'a>,
    ) -> Result<&'a ApprovedPolicy, UnsealError> {
        let sealed = what.sealed;
        if sealed.storage_root != storage_root.name() {
            return Err(UnsealError::OtherTpm);
        }
        if sealed.pcr_key != what.pcr_key.name() {
            return Err(UnsealError::OtherOwner {
                sealed: sealed.pcr_key,
                present: what.pcr_key.name(),
            });
        }
        let present = self.read_pcr(SECURE_BOOT_PCR)?;
        if sealed.pcr_7 != present {
            return Err(UnsealError::SecureBootChanged {
                sealed: sealed.pcr_7,
                present,
            });
        }
        let present = self.read_pcr(KERNEL_BUNDLE_PCR)?;
        let fits = |approved: &&ApprovedPolicy| {
            approved.key == what.pcr_key.fingerprint()
                && approved.policy == approved_policy(&present, approved.release)
        };
        let approved = what
            .signatures
            .policies
            .iter()
            .find(fits)
            .ok_or(UnsealError::NotApproved { present })?;
        let present = nv::sealings_unverified(self).map_err(UnsealError::Record)?;
        if sealed.sealings != present {
            return Err(UnsealError::SealedAgain {
                sealed: sealed.sealings,
                present,
            });
        }
        let oldest = nv::oldest_release_unverified(self).map_err(UnsealError::VersionCounter)?;
        if approved.release < oldest {
            return Err(UnsealError::ReleaseTooOld {
                release: approved.release,
                oldest,
            });
        }
        Ok(approved)
    }

    fn load(&self, storage_root: &StorageRoot, sealed: &Sealed) -> Result<Object<'_>, UnsealError> {
        let session = Session::salted(self, storage_root)?;
        let mut command = Command::new(Code::LOAD, &[storage_root.entity()]).returning_handle();
        command
            .parameters
            .sized(&sealed.private)
            .sized(&sealed.public);
        let answer = session
            .run(&mut command, Use::authorizing(&Auth::empty()))
            .map_err(|error| match error.reason() {
                // A blob that is not the TPM's is found out in many ways.
                Some(reason) if reason != ResponseCode::LOCKOUT && is_about_a_value(reason) => {
                    UnsealError::OtherTpm
                }
                _ => explained(error),
            })?;
        let handle = answer.handle()?;
        let loaded = Loaded { tpm: self, handle };
        let name = Name::of_public_area(&sealed.public);
        answer.read(|reader| (reader.sized(66)? == name.as_bytes()).then_some(()))?;
        Ok(Object {
            _loaded: loaded,
            entity: Entity::named(handle, name),
        })
    }

    /// "The PCR holds what it holds now."
    fn policy_pcr(&self, session: &Session<'_>, pcr: Pcr) -> Result<(), UnsealError> {
        let mut command = Command::new(Code::POLICY_PCR, &[Entity::by_handle(session.handle())]);
        command.parameters.sized(&[]).bytes(&pcr.selection());
        self.run(&command).map_err(explained)?;
        Ok(())
    }

    /// "What the index holds at this offset compares so with the operand."
    fn policy_nv(
        &self,
        session: &Session<'_>,
        index: &NvDefinition,
        operand: &[u8],
        offset: u16,
        operation: u16,
    ) -> Result<(), UnsealError> {
        let index = nv::entity(index, true);
        let entities = [index, index, Entity::by_handle(session.handle())];
        let mut command = Command::new(Code::POLICY_NV, &entities);
        command.parameters.sized(operand).u16(offset).u16(operation);
        self.run_with_empty_password(&command).map_err(explained)?;
        Ok(())
    }

    /// "The key approved the policy so far."
    fn policy_authorize(
        &self,
        session: &Session<'_>,
        key: &PcrKey,
        approved: &ApprovedPolicy,
    ) -> Result<(), UnsealError> {
        let ticket = self.verify(key, approved)?;
        let mut command = Command::new(
            Code::POLICY_AUTHORIZE,
            &[Entity::by_handle(session.handle())],
        );
        command
            .parameters
            .sized(approved.policy.as_bytes())
            .sized(POLICY_REFERENCE.as_bytes())
            .sized(key.name().as_bytes())
            .bytes(&ticket);
        self.run(&command).map_err(|error| match error.reason() {
            // The policy so far is not the approved one.
            Some(ResponseCode::VALUE) => UnsealError::Policy,
            _ => explained(error),
        })?;
        Ok(())
    }

    /// Has the TPM check the signature; gives the `TPMT_TK_VERIFIED` that says so.
    fn verify(&self, key: &PcrKey, approved: &ApprovedPolicy) -> Result<Vec<u8>, UnsealError> {
        let signature = match key.kind() {
            PcrKeyKind::Rsa => signature::rsa(&approved.signature),
            PcrKeyKind::P256 => signature::p256(&approved.signature),
        }
        .ok_or(UnsealError::SignatureInvalid)?;

        let mut command = Command::new(Code::LOAD_EXTERNAL, &[]).returning_handle();
        command
            .parameters
            // No private part. A hierarchy, since tickets of none are worth nothing.
            .sized(&[])
            .sized(key.public_area())
            .u32(OWNER);
        let answer = self.run(&command).map_err(explained)?;
        let loaded = Loaded {
            tpm: self,
            handle: answer.handle()?,
        };
        let mut command = Command::new(Code::VERIFY_SIGNATURE, &[Entity::by_handle(loaded.handle)]);
        command
            .parameters
            .sized(Digest::of(&[&approval(&approved.policy)]).as_bytes())
            .bytes(&signature);
        let answer = self.run(&command).map_err(|error| match error.reason() {
            Some(reason) if is_about_a_value(reason) => UnsealError::SignatureInvalid,
            _ => explained(error),
        })?;
        Ok(answer.read(|reader| {
            let ticket = reader.rest();
            // Tag, hierarchy, and a digest of at most 64 bytes.
            (8..=72).contains(&ticket.len()).then(|| ticket.to_vec())
        })?)
    }
}

/// A loaded object as commands name it.
struct Object<'tpm> {
    _loaded: Loaded<'tpm>,
    entity: Entity,
}

/// Whether a reason is about what was given, not about the TPM's own state: the codes
/// of format one (part 2, 6.6.2).
fn is_about_a_value(reason: ResponseCode) -> bool {
    reason.number() & 0x80 != 0
}

fn explained(error: TpmError) -> UnsealError {
    match error.reason() {
        Some(ResponseCode::POLICY | ResponseCode::POLICY_FAIL | ResponseCode::PCR_CHANGED) => {
            UnsealError::Policy
        }
        Some(ResponseCode::SIGNATURE) => UnsealError::SignatureInvalid,
        Some(ResponseCode::INTEGRITY) => UnsealError::OtherTpm,
        Some(ResponseCode::LOCKOUT) => UnsealError::LockedOut,
        _ => UnsealError::Tpm(error),
    }
}
