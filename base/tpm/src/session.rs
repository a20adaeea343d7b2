//! Sessions that nobody on the bus reads or changes (part 1, 19 and 21).

use std::cell::Cell;
use std::fmt;

use bastide_tpm_policy::Digest;
use hmac::Mac;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::channel::Ask;
use crate::code::Code;
use crate::command::{Answer, Command};
use crate::crypto::{self, Direction, Nonce, Salt};
use crate::wire::{Reader, Writer};
use crate::{Auth, StorageRoot, Tpm, TpmError, random};

/// `TPM_RH_NULL`.
const NULL: u32 = 0x4000_0007;

const HMAC_SESSION: u8 = 0x00;
const POLICY_SESSION: u8 = 0x01;

const AES: u16 = 0x0006;
const CFB: u16 = 0x0043;
const SHA256: u16 = 0x000b;

// `TPMA_SESSION` (part 2, 8.4).
const CONTINUE: u8 = 1 << 0;
/// The TPM decrypts the command's first parameter.
const DECRYPT: u8 = 1 << 5;
/// The TPM encrypts the answer's first parameter.
const ENCRYPT: u8 = 1 << 6;
const AUDIT: u8 = 1 << 7;

/// A session with a TPM, salted to its storage root key: who listens learns nothing of
/// what is encrypted in it, and who changes an answer is found out. Removed from the
/// TPM's memory when dropped.
pub struct Session<'tpm> {
    tpm: &'tpm Tpm,
    handle: u32,
    /// Empty in a session that is not salted.
    key: Zeroizing<Vec<u8>>,
    nonce_tpm: Cell<Nonce>,
}

/// How a session is used with one command.
#[derive(Clone, Copy)]
pub(crate) struct Use<'a> {
    /// The authorisation value of the first entity, when the session authorises it.
    pub(crate) authorizes: Option<&'a Auth>,
    /// That value once the command succeeded, when it changes it.
    pub(crate) afterwards: Option<&'a Auth>,
    /// The command's first parameter is secret.
    pub(crate) encrypt: bool,
    /// The answer's first parameter is secret.
    pub(crate) decrypt: bool,
    /// The session does nothing but show that nobody changes question or answer.
    audit: bool,
}

impl<'a> Use<'a> {
    /// To authorise the first entity, whose authorisation value is this.
    pub(crate) const fn authorizing(auth: &'a Auth) -> Self {
        Self {
            authorizes: Some(auth),
            afterwards: None,
            encrypt: false,
            decrypt: false,
            audit: false,
        }
    }

    /// For the first entity, which the session's policy authorises. What is encrypted
    /// must have an empty authorisation value all the same (part 1, 21.2).
    pub(crate) const fn in_policy() -> Self {
        Self {
            authorizes: None,
            afterwards: None,
            encrypt: false,
            decrypt: false,
            audit: false,
        }
    }

    /// For a command that nothing authorises.
    const fn auditing() -> Self {
        Self {
            audit: true,
            ..Self::in_policy()
        }
    }

    pub(crate) const fn encrypting(mut self) -> Self {
        self.encrypt = true;
        self
    }

    pub(crate) const fn decrypting(mut self) -> Self {
        self.decrypt = true;
        self
    }

    pub(crate) const fn afterwards(mut self, auth: &'a Auth) -> Self {
        self.afterwards = Some(auth);
        self
    }
}

impl<'tpm> Session<'tpm> {
    /// Starts a session that is salted to the storage root key and encrypts parameters
    /// with AES-128-CFB.
    ///
    /// # Errors
    /// The TPM refuses, or the kernel gives no random numbers. That the TPM really
    /// holds the storage root key shows with the first answer.
    pub fn salted(tpm: &'tpm Tpm, storage_root: &StorageRoot) -> Result<Self, TpmError> {
        Self::start(tpm, Some(storage_root), HMAC_SESSION)
    }

    /// A salted session that collects a policy.
    pub(crate) fn policy(tpm: &'tpm Tpm, storage_root: &StorageRoot) -> Result<Self, TpmError> {
        Self::start(tpm, Some(storage_root), POLICY_SESSION)
    }

    /// A session that proves the knowledge of an authorisation value without saying it,
    /// and encrypts nothing: for use before there is a storage root key.
    pub(crate) fn unsalted(tpm: &'tpm Tpm) -> Result<Self, TpmError> {
        Self::start(tpm, None, HMAC_SESSION)
    }

    fn start(
        tpm: &'tpm Tpm,
        storage_root: Option<&StorageRoot>,
        kind: u8,
    ) -> Result<Self, TpmError> {
        let mut nonce: Nonce = [0; 32];
        random::fill(&mut nonce)?;
        let salt = storage_root
            .map(|root| Salt::new(root.public_key()))
            .transpose()?;
        let mut encrypted = Writer::new();
        if let Some(salt) = &salt {
            encrypted.sized(&salt.x).sized(&salt.y);
        }

        let salt_key = storage_root.map_or(NULL, StorageRoot::handle);
        let mut command = Command::new(Code::START_AUTH_SESSION, &[]).returning_handle();
        command
            .parameters
            // Handles of this command are never covered by a session.
            .u32(salt_key)
            .u32(NULL)
            .sized(&nonce)
            .sized(encrypted.as_slice())
            .byte(kind)
            .u16(AES)
            .u16(128)
            .u16(CFB)
            .u16(SHA256);
        let answer = tpm.run(&command)?;
        let handle = answer.handle()?;
        // From here on, dropping it removes it.
        let mut session = Self {
            tpm,
            handle,
            key: Zeroizing::new(Vec::new()),
            nonce_tpm: Cell::new([0; 32]),
        };
        let nonce_tpm: Nonce = answer.read(|reader| reader.sized(32)?.try_into().ok())?;
        if let Some(salt) = &salt {
            let key = crypto::kdf_a(salt.salt.as_slice(), "ATH", &nonce_tpm, &nonce);
            session.key = Zeroizing::new(key.to_vec());
        }
        session.nonce_tpm.set(nonce_tpm);
        Ok(session)
    }

    /// The TPM that the session is with.
    #[must_use]
    pub fn tpm(&self) -> &'tpm Tpm {
        self.tpm
    }

    pub(crate) fn handle(&self) -> u32 {
        self.handle
    }

    /// Runs a command in the session. Its parameters are left encrypted where they
    /// were to be.
    pub(crate) fn run(&self, command: &mut Command, used: Use<'_>) -> Result<Answer, TpmError> {
        let mut nonce: Nonce = [0; 32];
        random::fill(&mut nonce)?;
        let nonce_tpm = self.nonce_tpm.get();
        let value = self.value(used.authorizes);

        if used.encrypt {
            let name = command.code.name;
            let parameter = command
                .parameters
                .first_sized()
                .ok_or(TpmError::Malformed { command: name })?;
            crypto::crypt(Direction::ToTpm, &value, &nonce, &nonce_tpm, parameter);
        }
        let attributes = attributes(used);
        let code = command.code.number.to_be_bytes();
        let hash = Digest::of(&[&code, &command.names(), command.parameters.as_slice()]);
        let hmac = crypto::hmac(
            &value,
            &[hash.as_bytes(), &nonce, &nonce_tpm, &[attributes]],
        );
        let mut area = Writer::new();
        area.u32(self.handle)
            .sized(&nonce)
            .byte(attributes)
            .sized(&hmac.finalize().into_bytes());

        let bytes = command.to_bytes(Some(area.as_slice()));
        let raw = self.tpm.exchange(command, bytes.as_slice())?;
        let mut answer = command.parse(&raw, true)?;
        let value = self.value(used.afterwards.or(used.authorizes));
        let nonce_tpm = verify(command, &answer, &value, &nonce)?;
        self.nonce_tpm.set(nonce_tpm);

        if used.decrypt {
            let (length, rest) = answer
                .parameters
                .split_first_chunk_mut::<2>()
                .ok_or_else(|| command.malformed())?;
            let parameter = rest
                .get_mut(..usize::from(u16::from_be_bytes(*length)))
                .ok_or_else(|| command.malformed())?;
            crypto::crypt(Direction::FromTpm, &value, &nonce_tpm, &nonce, parameter);
        }
        Ok(answer)
    }

    /// The key of HMACs and of parameter encryption (part 1, 19.6.8 and 21.2).
    fn value(&self, auth: Option<&Auth>) -> Zeroizing<Vec<u8>> {
        let auth = auth.map_or(&[][..], Auth::expose);
        let mut value = Zeroizing::new(Vec::with_capacity(self.key.len() + auth.len()));
        value.extend_from_slice(&self.key);
        value.extend_from_slice(auth);
        value
    }
}

fn attributes(used: Use<'_>) -> u8 {
    let mut attributes = CONTINUE;
    if used.encrypt {
        attributes |= DECRYPT;
    }
    if used.decrypt {
        attributes |= ENCRYPT;
    }
    if used.audit {
        attributes |= AUDIT;
    }
    attributes
}

/// Checks the HMAC of an answer and gives the TPM's new nonce.
fn verify(
    command: &Command,
    answer: &Answer,
    value: &[u8],
    nonce: &Nonce,
) -> Result<Nonce, TpmError> {
    let mut reader = Reader::new(&answer.session);
    let mut parts = || {
        let nonce_tpm: Nonce = reader.sized(32)?.try_into().ok()?;
        let attributes = reader.byte()?;
        let hmac: [u8; 32] = reader.sized(32)?.try_into().ok()?;
        reader.is_empty().then_some((nonce_tpm, attributes, hmac))
    };
    let tampered = || TpmError::Tampered {
        command: command.code.name,
    };
    let (nonce_tpm, attributes, hmac) = parts().ok_or_else(tampered)?;
    let success = 0u32.to_be_bytes();
    let code = command.code.number.to_be_bytes();
    let hash = Digest::of(&[&success, &code, &answer.parameters]);
    let expected = crypto::hmac(value, &[hash.as_bytes(), &nonce_tpm, nonce, &[attributes]])
        .finalize()
        .into_bytes();
    if bool::from(expected.ct_eq(&hmac)) {
        Ok(nonce_tpm)
    } else {
        Err(tampered())
    }
}

impl Ask for Session<'_> {
    fn ask(&self, command: &mut Command) -> Result<Answer, TpmError> {
        self.run(command, Use::auditing())
    }

    fn ask_openly(&self, command: &mut Command) -> Result<Answer, TpmError> {
        self.run(command, Use::authorizing(&Auth::empty()))
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.tpm.flush(self.handle);
    }
}

impl fmt::Debug for Session<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Session({:#x})", self.handle)
    }
}
