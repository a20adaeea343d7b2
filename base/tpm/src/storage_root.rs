//! The storage root key, under which everything else is encrypted.

use bastide_tpm_policy::Name;
use p256::PublicKey;

use crate::code::{Code, ResponseCode};
use crate::command::{Command, Entity};
use crate::owner::OWNER;
use crate::session::Use;
use crate::tpm::Loaded;
use crate::wire::Reader;
use crate::{Auth, Session, Tpm, TpmError, crypto};

/// Where the TCG Provisioning Guidance puts it.
pub const STORAGE_ROOT: u32 = 0x8100_0001;

/// `TPMT_PUBLIC` of the TCG's template up to the point: ECC, SHA-256; fixedTPM,
/// fixedParent, sensitiveDataOrigin, userWithAuth, noDA, restricted, decrypt; no
/// policy; AES-128-CFB; no scheme; P-256; no derivation.
const TEMPLATE: [u8; 22] = [
    0x00, 0x23, 0x00, 0x0b, 0x00, 0x03, 0x04, 0x72, 0x00, 0x00, 0x00, 0x06, 0x00, 0x80, 0x00, 0x43,
    0x00, 0x10, 0x00, 0x03, 0x00, 0x10,
];

const LARGEST_PUBLIC: usize = 1024;

/// Why there is no storage root key to work with.
#[derive(Debug, thiserror::Error)]
pub enum StorageRootError {
    /// Another kind of key is in its place.
    #[error(
        "the TPM holds a key at {STORAGE_ROOT:#x} that is no storage root key of the TCG's template on P-256; clear the TPM in the firmware's settings"
    )]
    Foreign,
    /// None is there, and the owner's authorisation is not what it should be.
    #[error(
        "the TPM belongs to somebody else, who set its owner's authorisation; clear the TPM in the firmware's settings"
    )]
    ForeignOwner,
    /// The TPM gives no good answer.
    #[error(transparent)]
    Tpm(#[from] TpmError),
}

/// A persistent storage root key of the TCG's template.
#[derive(Clone, Debug)]
pub struct StorageRoot {
    name: Name,
    public_key: PublicKey,
}

impl StorageRoot {
    /// Finds the key of the TPM.
    ///
    /// The answer comes over the bare bus: that the TPM holds this key, and not somebody
    /// on the bus, shows when a [`Session`] with it works; whether it is the key it used
    /// to be, its name says.
    ///
    /// # Errors
    /// Something else is in its place, or the TPM gives no good answer.
    pub fn find(tpm: &Tpm) -> Result<Option<Self>, StorageRootError> {
        let mut command = Command::new(Code::READ_PUBLIC, &[]);
        command.parameters.u32(STORAGE_ROOT);
        let answer = match tpm.run(&command) {
            Err(error) if error.reason() == Some(ResponseCode::HANDLE) => return Ok(None),
            other => other?,
        };
        let (public, name) = answer.read(|reader| {
            let public = reader.sized(LARGEST_PUBLIC)?.to_vec();
            let name = reader.sized(66)?.to_vec();
            // The qualified name.
            reader.sized(66)?;
            Some((public, name))
        })?;
        let root = Self::from_public(&public)?;
        if name == root.name.as_bytes() {
            Ok(Some(root))
        } else {
            Err(command.malformed().into())
        }
    }

    /// Finds the key, or makes it with the owner's authorisation and keeps it for good.
    /// It comes from the TPM's own seed: until the TPM is cleared, it is always the same.
    ///
    /// # Errors
    /// Something else is in its place, the owner's authorisation is another, or the TPM
    /// gives no good answer.
    pub fn find_or_make(tpm: &Tpm, owner: &Auth) -> Result<Self, StorageRootError> {
        if let Some(root) = Self::find(tpm)? {
            return Ok(root);
        }
        Self::make(tpm, owner).map_err(|error| match error.reason() {
            Some(ResponseCode::BAD_AUTH | ResponseCode::AUTH_FAIL) => {
                StorageRootError::ForeignOwner
            }
            _ => error.into(),
        })?;
        // What counts is what the TPM holds now.
        Self::find(tpm)?.ok_or(StorageRootError::Foreign)
    }

    fn make(tpm: &Tpm, owner: &Auth) -> Result<(), TpmError> {
        // Nothing secret is said here, so the session only proves the authorisation.
        let session = Session::unsalted(tpm)?;
        let mut command =
            Command::new(Code::CREATE_PRIMARY, &[Entity::by_handle(OWNER)]).returning_handle();
        let mut public = TEMPLATE.to_vec();
        // The point that the template asks for: two times 32 zeroes.
        for _ in 0..2 {
            public.extend_from_slice(&[0, 32]);
            public.extend_from_slice(&[0; 32]);
        }
        command
            .parameters
            // No authorisation value, no data.
            .sized(&[0, 0, 0, 0])
            .sized(&public)
            // Neither outside information nor PCRs at creation.
            .sized(&[])
            .u32(0);
        let answer = session.run(&mut command, Use::authorizing(owner))?;
        let loaded = Loaded {
            tpm,
            handle: answer.handle()?,
        };
        let public = answer.read(|reader| {
            let public = reader.sized(LARGEST_PUBLIC)?.to_vec();
            // Creation data, hash and ticket, and the name.
            reader.rest();
            Some(public)
        })?;
        let name = Name::of_public_area(&public);
        let entities = [Entity::by_handle(OWNER), Entity::named(loaded.handle, name)];
        let mut command = Command::new(Code::EVICT_CONTROL, &entities);
        command.parameters.u32(STORAGE_ROOT);
        session.run(&mut command, Use::authorizing(owner))?;
        Ok(())
    }

    fn from_public(public: &[u8]) -> Result<Self, StorageRootError> {
        let point = public
            .strip_prefix(&TEMPLATE)
            .ok_or(StorageRootError::Foreign)?;
        let mut reader = Reader::new(point);
        let coordinates = (reader.sized(32), reader.sized(32));
        let (Some(x), Some(y)) = coordinates else {
            return Err(StorageRootError::Foreign);
        };
        if !reader.is_empty() {
            return Err(StorageRootError::Foreign);
        }
        Ok(Self {
            name: Name::of_public_area(public),
            public_key: crypto::public_key(x, y).ok_or(StorageRootError::Foreign)?,
        })
    }

    /// Its name: which TPM, since it was last cleared.
    #[must_use]
    pub fn name(&self) -> Name {
        self.name
    }

    pub(crate) fn handle(&self) -> u32 {
        STORAGE_ROOT
    }

    pub(crate) fn entity(&self) -> Entity {
        Entity::named(STORAGE_ROOT, self.name)
    }

    pub(crate) fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}
