//! The machine as its TPM knows it.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use bastide_efi::VariableName;
use bastide_tpm::{Auth, Channel, NvState, Session, StorageRoot, Tpm, Unsealing};
use bastide_tpm_policy::{
    ENTER_INITRD, KERNEL_BUNDLE_PCR, LARGEST_PUBLIC_KEY, LARGEST_SIGNATURE_FILE, LEAVE_INITRD,
    LOG_COUNTER, Label, MachineSecret, NvDefinition, PcrKey, Phase, RECORD, Record, Release,
    Sealed, SignatureFile, VERSION,
};

use super::{decide::Recorded, keys::random, volume::Unlocked};
use crate::{console::say, files::read_bounded, firmware};

/// The public half of the PCR key, in the signed kernel bundle.
const PCR_KEY: &str = "/pcr.der";

/// What systemd-stub hands over of the bundle's `.pcrsig` section.
const SIGNATURES: &str = "/.extra/tpm2-pcr-signature.json";

const OTHER_VOLUME: &str = "the volume is not the one that the TPM has on record";

const NOT_ON_RECORD: &str = "the TPM has no state of this machine on record";

/// How the boots of the log are counted under one TPM.
#[derive(Debug)]
pub struct Counting {
    first_boot: u64,
    epoch: [u8; 16],
}

/// The machine's TPM.
#[derive(Debug)]
pub struct Machine {
    tpm: Tpm,
    root: Option<StorageRoot>,
    record: Option<Record>,
    pcr_key: PcrKey,
}

impl Machine {
    /// Finds the TPM and opens its policy: from here on, and until [`Machine::leave`], it
    /// gives the machine secret out.
    ///
    /// # Errors
    /// There is none, it cannot be extended, or the bundle's PCR key cannot be read. The
    /// policy is closed then.
    pub fn enter() -> Result<Self> {
        let pcr_key = read_bounded(Path::new(PCR_KEY), LARGEST_PUBLIC_KEY)?;
        let machine = Self {
            tpm: Tpm::open()?,
            root: None,
            record: None,
            pcr_key: PcrKey::from_der(&pcr_key)?,
        };
        match machine.tpm.extend_pcr(KERNEL_BUNDLE_PCR, ENTER_INITRD) {
            Ok(()) => Ok(machine),
            // Perhaps it was extended, and only the answer is lost. Where closing fails
            // too, the TPM is dead.
            Err(error) => Err(match machine.leave() {
                Ok(()) => error.into(),
                Err(left) => left.context(error),
            }),
        }
    }

    /// Closes the policy until the machine is switched on anew.
    ///
    /// # Errors
    /// The TPM cannot be extended; nothing must run then.
    pub fn leave(&self) -> Result<()> {
        Ok(self.tpm.extend_pcr(KERNEL_BUNDLE_PCR, LEAVE_INITRD)?)
    }

    /// What the TPM has recorded of this machine's state.
    ///
    /// # Errors
    /// The TPM belongs to somebody else, or gives no good answer.
    pub fn recorded(&mut self) -> Result<Recorded> {
        let root = StorageRoot::find_or_make(&self.tpm, &Auth::empty())?;
        self.root = Some(root);
        let record = self.session()?.record()?;
        self.record = record;
        Ok(match self.record.map(|record| record.phase) {
            None => Recorded::Nothing,
            Some(Phase::Provisioning) => Recorded::Begun,
            Some(Phase::Provisioned) => Recorded::Finished,
        })
    }

    /// Whether a state may be made: firmware must check what it starts, or the seal would
    /// hold nothing off, and the TPM must be nobody's.
    ///
    /// # Errors
    /// Says what stands against it.
    pub fn may_begin(&self) -> Result<()> {
        secure_boot()?;
        Ok(self.session()?.check_unowned()?)
    }

    /// Whether the state may be sealed to this machine as it is.
    ///
    /// # Errors
    /// Says what stands against it.
    pub fn may_seal(&self, release: Release) -> Result<()> {
        secure_boot()?;
        let Some(oldest) = self.session()?.oldest_release()? else {
            return Ok(());
        };
        ensure!(
            release >= oldest,
            "release {release} is older than {oldest}, which was here before"
        );
        Ok(())
    }

    /// Removes what a first boot left that was cut short; the TPM is nobody's yet.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    pub fn forget(&mut self) -> Result<()> {
        self.remove(&[RECORD, VERSION, LOG_COUNTER], &Auth::empty())?;
        self.record = None;
        Ok(())
    }

    /// Makes `release` the oldest that may open the state.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    pub fn define_version(&self, release: Release) -> Result<()> {
        Ok(self
            .session()?
            .raise_oldest_release(&Auth::empty(), release)?)
    }

    /// Seals the machine secret, for the owner's releases and Secure Boot as it is. It
    /// opens once it is on record, and what was sealed before opens no more then.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    pub fn seal(&self, secret: &MachineSecret) -> Result<Sealed> {
        let before = self.record.map_or(0, |record| record.sealings);
        let sealings = before
            .checked_add(1)
            .context("the machine was sealed too often")?;
        Ok(self
            .session()?
            .seal(self.root()?, secret, &self.pcr_key, sealings)?)
    }

    /// Unseals the machine secret.
    ///
    /// # Errors
    /// Why the TPM refuses.
    pub fn unseal(&self, sealed: &Sealed) -> Result<MachineSecret> {
        let signatures = read_bounded(Path::new(SIGNATURES), LARGEST_SIGNATURE_FILE)?;
        let signatures = SignatureFile::parse(&signatures)?;
        Ok(self.tpm.unseal(
            self.root()?,
            &Unsealing {
                sealed,
                pcr_key: &self.pcr_key,
                signatures: &signatures,
            },
        )?)
    }

    /// Makes sure that a volume is the one on record, in use or begun.
    ///
    /// # Errors
    /// It is another.
    pub fn check_identity(&self, unlocked: &Unlocked) -> Result<()> {
        let known = self
            .record
            .is_some_and(|record| record.binding == unlocked.identity());
        ensure!(known, OTHER_VOLUME);
        Ok(())
    }

    /// Makes sure that no other state than this one, which a person has the recovery key
    /// of, is in use on this machine.
    ///
    /// # Errors
    /// Another is.
    pub fn check_no_other(&self, unlocked: &Unlocked) -> Result<()> {
        match self.record {
            Some(record) if record.is_of_another(&unlocked.identity()) => bail!(OTHER_VOLUME),
            _ => Ok(()),
        }
    }

    /// Whether this is the state that the TPM has on record as in use: the TPM has the
    /// counters of its machine then, and no other's.
    pub fn knows(&self, unlocked: &Unlocked) -> bool {
        self.record
            .is_some_and(|record| record.is_in_use(&unlocked.identity()))
    }

    /// Records that a state was begun; the TPM is nobody's yet.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    pub fn record_begun(
        &mut self,
        unlocked: &Unlocked,
        sealed: &Sealed,
        release: Release,
    ) -> Result<()> {
        let counting = Counting {
            first_boot: 0,
            epoch: [0; 16],
        };
        let owner = Auth::empty();
        self.write_record(
            &owner,
            Phase::Provisioning,
            unlocked,
            sealed,
            release,
            &counting,
        )
    }

    /// Makes a TPM that knows nothing of the state ready to be sealed to. The version index
    /// of one that is ours stays: this release has yet to be seen healthy.
    ///
    /// # Errors
    /// It belongs to somebody else, or gives no good answer.
    pub fn take_over(&mut self, secret: &MachineSecret, release: Release) -> Result<()> {
        let session = self.session()?;
        if session.properties()?.owner_set {
            // Ours, or taking ownership, which comes next, fails and says so.
            return Ok(session.ensure_oldest_release(&owner(secret), release)?);
        }
        drop(session);
        self.forget()?;
        self.define_version(release)
    }

    /// Makes the TPM this machine's: the log's counter, owner and lockout authorisation.
    /// What is done already stays. Returns how the log's boots are counted: as on record,
    /// or anew where nothing is.
    ///
    /// # Errors
    /// It belongs to somebody else, or gives no good answer.
    pub fn own(&self, secret: &MachineSecret) -> Result<Counting> {
        let session = self.session()?;
        session.take_ownership(
            &owner(secret),
            &Auth::from_secret(&secret.derive(Label::Lockout)),
        )?;
        session.ensure_nv(&LOG_COUNTER, &owner(secret), &anchor(secret))?;
        // It starts above every counter that the TPM ever had, which shows only then.
        if session.nv_state(&LOG_COUNTER)? == NvState::Defined {
            session.count_log(&anchor(secret))?;
        }
        Ok(match self.finished() {
            Some(record) => Counting {
                first_boot: record.first_boot,
                epoch: record.epoch,
            },
            None => Counting {
                first_boot: session.log_count(self.root()?)? + 1,
                epoch: *random()?,
            },
        })
    }

    /// The first boot that this TPM counted for this machine.
    ///
    /// # Errors
    /// It has no state of this machine on record.
    pub fn first_boot(&self) -> Result<u64> {
        let record = self.finished().context(NOT_ON_RECORD)?;
        Ok(record.first_boot)
    }

    /// The epoch of the log: random, another with each TPM.
    ///
    /// # Errors
    /// It has no state of this machine on record.
    pub fn log_epoch(&self) -> Result<[u8; 16]> {
        let record = self.finished().context(NOT_ON_RECORD)?;
        Ok(record.epoch)
    }

    /// Records that the state is in use: from now on it is never made anew.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    pub fn record_finished(
        &mut self,
        unlocked: &Unlocked,
        sealed: &Sealed,
        release: Release,
        counting: &Counting,
    ) -> Result<()> {
        let owner = owner(&unlocked.secret);
        self.write_record(
            &owner,
            Phase::Provisioned,
            unlocked,
            sealed,
            release,
            counting,
        )
    }

    /// What the log's counter stands at. Boots raise it, and the log itself.
    ///
    /// # Errors
    /// The counter is absent or another's, or the TPM gives no good answer.
    pub fn boots(&self) -> Result<u64> {
        Ok(self.session()?.log_count(self.root()?)?)
    }

    /// Counts this boot, whose number is to be `boot`: no other boot of this TPM has it.
    ///
    /// # Errors
    /// The counter is absent, another's or stands elsewhere, or the TPM gives no good
    /// answer.
    pub fn count_boot(&self, secret: &MachineSecret, boot: u64) -> Result<()> {
        let session = self.session()?;
        session.count_log(&anchor(secret))?;
        let counted = session.log_count(self.root()?)?;
        ensure!(
            counted == boot,
            "the TPM's counter stands at {counted}, not at {boot}"
        );
        Ok(())
    }

    /// Makes `release` the oldest that may open the state, unless a newer one is.
    ///
    /// # Errors
    /// The TPM gives no good answer.
    pub fn raise_version(&self, secret: &MachineSecret, release: Release) -> Result<()> {
        let session = self.session()?;
        if session
            .oldest_release()?
            .is_some_and(|oldest| oldest >= release)
        {
            return Ok(());
        }
        session.raise_oldest_release(&owner(secret), release)?;
        say(&format!(
            "state: opens to no release before {release} any more"
        ));
        Ok(())
    }

    fn write_record(
        &mut self,
        owner: &Auth,
        phase: Phase,
        unlocked: &Unlocked,
        sealed: &Sealed,
        release: Release,
        counting: &Counting,
    ) -> Result<()> {
        let record = Record {
            phase,
            sealings: sealed.sealings,
            release,
            volume: *unlocked.volume.as_bytes(),
            binding: unlocked.identity(),
            pcr_key: self.pcr_key.fingerprint(),
            first_boot: counting.first_boot,
            epoch: counting.epoch,
        };
        self.session()?.write_record(owner, &record)?;
        self.record = Some(record);
        Ok(())
    }

    fn remove(&self, definitions: &[NvDefinition], owner: &Auth) -> Result<()> {
        let session = self.session()?;
        for definition in definitions {
            if session.nv_state(definition)? != NvState::Absent {
                session.undefine_nv(definition, owner)?;
            }
        }
        Ok(())
    }

    /// The record of a state that is in use.
    fn finished(&self) -> Option<Record> {
        self.record
            .filter(|record| record.phase == Phase::Provisioned)
    }

    fn root(&self) -> Result<&StorageRoot> {
        self.root.as_ref().context("the TPM was not looked at yet")
    }

    fn session(&self) -> Result<Session<'_>> {
        Ok(Session::salted(&self.tpm, self.root()?)?)
    }
}

fn owner(secret: &MachineSecret) -> Auth {
    Auth::from_secret(&secret.derive(Label::Owner))
}

fn anchor(secret: &MachineSecret) -> Auth {
    Auth::from_secret(&secret.derive(Label::LogAnchor))
}

/// Whether firmware checks what it starts.
fn secure_boot() -> Result<()> {
    let flag = |name| -> Result<bool> {
        let data = firmware::read(name)?.context("firmware does not tell of Secure Boot")?;
        Ok(data == [1])
    };
    ensure!(
        flag(VariableName::SECURE_BOOT)?,
        "Secure Boot is off: enrol the owner's keys and switch it on"
    );
    ensure!(
        !flag(VariableName::SETUP_MODE)?,
        "Secure Boot is in setup mode, in which anybody may enrol keys"
    );
    Ok(())
}
