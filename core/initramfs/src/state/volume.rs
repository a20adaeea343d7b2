//! The state partition: what is on it, and the volume that is made and opened there.

use std::{fmt, fs::File, os::unix::fs::FileExt, path::Path};

use anyhow::{Context, Result, bail, ensure};
use bastide_disk::Partition;
use bastide_ext4::{Identity, Template};
use bastide_luks::{
    Active, Cipher, Effort, Journal, LuksError, NewVolume, Passphrase, Token, Unlocked as Tried,
    Volume, VolumeKey,
};
use bastide_luks_format::HEADER_SIZES;
use bastide_tpm_policy::{Digest, Label, MachineSecret, RecoveryKey, Sealed};
use serde_json::{Map, Value};
use uuid::{Uuid, uuid};

use super::{
    decide::Found,
    keys::{self, random},
};
use crate::{console::say, files::read_bounded};

/// `SD_GPT_VAR`, "Linux variable data" (Discoverable Partitions Specification).
const KIND: Uuid = uuid!("4d21b016-b534-45c2-a9fb-5c16e091fd2d");

/// How state is encrypted and authenticated; `docs/decisions/state-cipher.md` says why.
const CIPHER: Cipher = Cipher::AesXtsHmacSha256;

/// The device with the data in clear.
const DEVICE: &str = "state";
const LABEL: &str = "bastide-state";

/// Key slots.
const TPM_KEYSLOT: u32 = 0;
const RECOVERY_KEYSLOT: u32 = 1;

/// Tokens in the header.
const SEALED_TOKEN: &str = "bastide-tpm2";
const WRAPPED_TOKEN: &str = "bastide-machine-secret";
const BEGUN_TOKEN: &str = "bastide-begun";

/// The empty file system, in the signed kernel bundle.
const TEMPLATE: &str = "/state.template";
const LARGEST_TEMPLATE: usize = 16 * 1024 * 1024;

/// The state partition.
#[derive(Debug)]
pub struct Place {
    partition: Partition,
    volume: Option<Volume>,
    found: Found,
    why: String,
}

/// A state whose key is known.
pub struct Unlocked {
    /// The machine secret.
    pub secret: MachineSecret,
    /// Identity of the volume.
    pub volume: Uuid,
    key: VolumeKey,
    active: Option<Active>,
}

impl fmt::Debug for Unlocked {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Unlocked(..)")
    }
}

impl Unlocked {
    /// What the TPM records of the volume.
    pub fn identity(&self) -> Digest {
        keys::identity(self.key.expose())
    }
}

impl Place {
    /// Looks at what the state partition holds.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn look(partition: &Partition) -> Result<Self> {
        let (volume, found, why) = look(partition)?;
        Ok(Self {
            partition: partition.clone(),
            volume,
            found,
            why,
        })
    }

    /// What it holds.
    pub fn found(&self) -> Found {
        self.found
    }

    /// The same in words.
    pub fn describe(&self) -> &str {
        &self.why
    }

    /// The kernel's name of the partition.
    pub fn device(&self) -> &str {
        &self.partition.name
    }

    /// The kernel's name of the disk.
    pub fn disk(&self) -> &str {
        &self.partition.disk
    }

    /// UUID of the volume, and its cipher in words.
    ///
    /// # Errors
    /// There is no volume.
    pub fn facts(&self) -> Result<(String, String)> {
        let uuid = self.volume()?.uuid();
        Ok((
            uuid.hyphenated().to_string(),
            format!("{}, {}", CIPHER.encryption(), CIPHER.integrity()),
        ))
    }

    /// Makes a new volume with an empty file system, marked as begun. `progress` is
    /// told how many bytes of how many are prepared.
    ///
    /// # Errors
    /// The disk fails.
    pub fn make(
        &mut self,
        secret: MachineSecret,
        mut progress: impl FnMut(u64, u64),
    ) -> Result<Unlocked> {
        let template = read_bounded(Path::new(TEMPLATE), LARGEST_TEMPLATE)?;
        let template = Template::parse(&template)?;
        let passphrase = Passphrase::new(&secret.derive(Label::Volume).expose()[..])?;
        let (volume, key) = Volume::format(
            &self.partition.path(),
            &NewVolume {
                label: LABEL,
                cipher: CIPHER,
                passphrase: &passphrase,
                effort: Effort::HighEntropy,
                // No header without the mark is ever on the disk before the state is made.
                tokens: &[Token::new(BEGUN_TOKEN, &[], Map::new())?],
            },
        )?;
        let volume = self.volume.insert(volume);
        volume.initialise(CIPHER)?;
        let active = volume.activate(DEVICE, &key, CIPHER, Journal::Off)?;
        active.wipe(0, &mut progress)?;
        active.deactivate()?;
        let active = volume.activate(DEVICE, &key, CIPHER, Journal::On)?;
        template.write(
            &active.path(),
            &Identity {
                uuid: uuid::Builder::from_random_bytes(*random()?).into_uuid(),
                hash_seed: *random()?,
                label: LABEL.to_owned(),
                reserved_group: log_group()?,
            },
        )?;
        Ok(Unlocked {
            secret,
            volume: volume.uuid(),
            key,
            active: Some(active),
        })
    }

    /// What the TPM sealed.
    ///
    /// # Errors
    /// There is nothing, or it is malformed.
    pub fn sealed(&self) -> Result<Sealed> {
        Ok(Sealed::decode(&self.kept(SEALED_TOKEN, "sealed")?)?)
    }

    /// Keeps what the TPM sealed, and the machine secret for whoever has the volume key.
    ///
    /// # Errors
    /// The disk fails.
    pub fn keep_sealed(&mut self, unlocked: &Unlocked, sealed: &Sealed) -> Result<()> {
        let wrapped = keys::wrap(&unlocked.secret, unlocked.key.expose())?;
        let token = |kind, keyslot, members: &[(&str, &[u8])]| {
            let members = members
                .iter()
                .map(|(name, bytes)| ((*name).to_owned(), Value::from(hex::encode(bytes))))
                .collect();
            Token::new(kind, &[keyslot], members)
        };
        let wrapped = token(WRAPPED_TOKEN, TPM_KEYSLOT, &[("wrapped", &wrapped)])?;
        let sealed = token(SEALED_TOKEN, TPM_KEYSLOT, &[("sealed", &sealed.encode())])?;
        let volume = self.volume_mut()?;
        volume.set_token(wrapped)?;
        volume.set_token(sealed)?;
        Ok(())
    }

    /// Opens the volume with the secret that the TPM gave out.
    ///
    /// # Errors
    /// It is not this volume's.
    pub fn unlock_by_tpm(&self, secret: MachineSecret) -> Result<Unlocked> {
        let passphrase = Passphrase::new(&secret.derive(Label::Volume).expose()[..])?;
        match self.volume()?.unlock_keyslot(TPM_KEYSLOT, &passphrase)? {
            Tried::Opened { key, .. } => Ok(Unlocked {
                secret,
                volume: self.volume()?.uuid(),
                key,
                active: None,
            }),
            Tried::Refused => bail!("what the TPM gave out does not open the volume"),
        }
    }

    /// Opens the volume with the recovery key.
    ///
    /// # Errors
    /// It is not this volume's, or the machine secret cannot be had from it.
    pub fn unlock_by_recovery(&self, recovery: &RecoveryKey) -> Result<Unlocked> {
        let passphrase = Passphrase::new(recovery.text().as_bytes())?;
        match self
            .volume()?
            .unlock_keyslot(RECOVERY_KEYSLOT, &passphrase)?
        {
            Tried::Opened { key, .. } => {
                let wrapped = self.kept(WRAPPED_TOKEN, "wrapped")?;
                Ok(Unlocked {
                    secret: keys::unwrap(&wrapped, key.expose())?,
                    volume: self.volume()?.uuid(),
                    key,
                    active: None,
                })
            }
            Tried::Refused => bail!("this is the recovery key of another volume"),
        }
    }

    /// Makes the recovery key the one that opens the volume; an earlier one does no more.
    ///
    /// # Errors
    /// The disk fails.
    pub fn set_recovery_key(&mut self, unlocked: &Unlocked, recovery: &RecoveryKey) -> Result<()> {
        let passphrase = Passphrase::new(recovery.text().as_bytes())?;
        let volume = self.volume_mut()?;
        if volume.header().keyslot(RECOVERY_KEYSLOT).is_some() {
            volume.remove_keyslot(RECOVERY_KEYSLOT)?;
        }
        volume.add_keyslot(
            Some(RECOVERY_KEYSLOT),
            &unlocked.key,
            &passphrase,
            Effort::HighEntropy,
        )?;
        Ok(())
    }

    /// Removes the mark of a state that was begun, if it is still there.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove_mark(&mut self) -> Result<()> {
        let volume = self.volume_mut()?;
        if let Some((number, _)) = volume.header().token(BEGUN_TOKEN) {
            volume.remove_token(number)?;
        }
        self.found = Found::Volume;
        Ok(())
    }

    /// Mounts the state.
    ///
    /// # Errors
    /// The kernel refuses the device or the file system.
    pub fn mount(&self, unlocked: &mut Unlocked, target: &Path) -> Result<()> {
        let active = match unlocked.active.take() {
            Some(active) => active,
            None => self
                .volume()?
                .activate(DEVICE, &unlocked.key, CIPHER, Journal::On)?,
        };
        bastide_mount::mount_state(&active.path(), target)?;
        // One that does not grow holds what it held.
        if let Err(error) = bastide_ext4::grow(target, &active.path()) {
            let error = anyhow::Error::new(error);
            say(&format!(
                "state: it stays smaller than its disk ({error:#})"
            ));
        }
        unlocked.active = Some(active);
        Ok(())
    }

    fn volume(&self) -> Result<&Volume> {
        self.volume.as_ref().context("there is no volume")
    }

    fn volume_mut(&mut self) -> Result<&mut Volume> {
        self.volume.as_mut().context("there is no volume")
    }

    /// A member of a token, which whoever has the disk may have written.
    fn kept(&self, kind: &str, member: &str) -> Result<Vec<u8>> {
        const LONGEST: usize = 2048;
        let (_, token) = self
            .volume()?
            .header()
            .token(kind)
            .with_context(|| format!("the volume's header has no token {kind}"))?;
        let text = token
            .members()
            .get(member)
            .and_then(Value::as_str)
            .with_context(|| format!("token {kind} has no {member}"))?;
        ensure!(
            text.len() <= LONGEST,
            "{member} of token {kind} is too long"
        );
        hex::decode(text).with_context(|| format!("{member} of token {kind} is no hexadecimal"))
    }
}

/// The state partition among those of the Core's disk.
///
/// # Errors
/// There is none, or more than one.
pub fn partition(partitions: &[Partition]) -> Result<&Partition> {
    let mut candidates = partitions.iter().filter(|partition| partition.kind == KIND);
    let partition = candidates
        .next()
        .context("the disk has no partition for the state")?;
    ensure!(
        candidates.next().is_none(),
        "the disk has more than one partition for the state"
    );
    Ok(partition)
}

/// What a partition holds: only a header that can be read is a volume, and only where no
/// header begins is nothing.
fn look(partition: &Partition) -> Result<(Option<Volume>, Found, String)> {
    let device = &partition.name;
    match Volume::open(&partition.path()) {
        Ok(opened) => {
            if opened.repaired {
                say(&format!(
                    "state: a damaged copy of the header on {device} was written again"
                ));
            }
            if let Some(error) = opened.unrepaired {
                let error = anyhow::Error::new(error);
                say(&format!(
                    "state: a copy of the header on {device} is damaged and cannot be written; \
                     replace the disk ({error:#})"
                ));
            }
            let begun = opened.volume.header().token(BEGUN_TOKEN).is_some();
            let keyed = opened.volume.header().keyslot(RECOVERY_KEYSLOT).is_some();
            let ours = opened.volume.header().label() == LABEL;
            let found = match (ours, begun, keyed) {
                (true, true, false) => Found::Begun,
                (true, true, true) => Found::Keyed,
                (true, false, _) => Found::Volume,
                (false, ..) => Found::Foreign,
            };
            let why = match found {
                Found::Begun => format!("{device} holds a state that was begun"),
                Found::Foreign => format!("{device} holds another's volume"),
                _ => format!("{device} holds a state"),
            };
            Ok((Some(opened.volume), found, why))
        }
        Err(error @ LuksError::Header { .. }) => {
            if is_empty(partition)? {
                Ok((None, Found::Nothing, format!("{device} is empty")))
            } else {
                let error = anyhow::Error::new(error);
                Ok((
                    None,
                    Found::Foreign,
                    format!("{device} holds no state that can be read: {error:#}"),
                ))
            }
        }
        Err(error) => Err(error.into()),
    }
}

/// Whether no copy of a header begins anywhere. What else lies there does not count: a
/// first boot that was cut short leaves noise, and an empty partition need not be zeros.
fn is_empty(partition: &Partition) -> Result<bool> {
    const MAGIC: [&[u8; 6]; 2] = [b"LUKS\xba\xbe", b"SKUL\xba\xbe"];
    let path = partition.path();
    let device = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut start = [0; 6];
    for offset in std::iter::once(0).chain(HEADER_SIZES.map(u64::from)) {
        device
            .read_exact_at(&mut start, offset)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if MAGIC.contains(&&start) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The group that may use the blocks that are kept back from everybody else.
fn log_group() -> Result<u16> {
    let user = bastide_config::users::User::named("log").map_err(anyhow::Error::msg)?;
    Ok(u16::try_from(user.uid())?)
}
