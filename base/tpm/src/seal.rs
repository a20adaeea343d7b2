//! Sealing the machine secret.

use bastide_tpm_policy::{MachineSecret, PcrKey, SECURE_BOOT_PCR, Sealed, sealing_policy};
use zeroize::Zeroizing;

use crate::channel::Channel;
use crate::code::Code;
use crate::command::Command;
use crate::session::Use;
use crate::{Auth, Session, StorageRoot, TpmError};

/// `TPMT_PUBLIC` up to the policy: keyed hash, SHA-256; fixedTPM, fixedParent,
/// adminWithPolicy, noDA. Without userWithAuth, the policy is the only way to use it,
/// and with adminWithPolicy the only way to change it.
const HEAD: [u8; 8] = [0x00, 0x08, 0x00, 0x0b, 0x00, 0x00, 0x04, 0x92];

/// After the policy: no scheme.
const SCHEME: [u8; 2] = [0x00, 0x10];

const LARGEST_PUBLIC: usize = 256;
const LARGEST_PRIVATE: usize = 1024;

impl Session<'_> {
    /// Seals the machine secret to this TPM, for the releases of the PCR key's owner and
    /// for PCR 7 as it is now. It opens once the record says `sealings`.
    ///
    /// # Errors
    /// The TPM refuses, or made something else than it was asked for.
    pub fn seal(
        &self,
        storage_root: &StorageRoot,
        secret: &MachineSecret,
        pcr_key: &PcrKey,
        sealings: u32,
    ) -> Result<Sealed, TpmError> {
        let pcr_7 = self.read_pcr(SECURE_BOOT_PCR)?;
        let policy = sealing_policy(&pcr_key.name(), &pcr_7, sealings);
        let mut public = HEAD.to_vec();
        public.extend_from_slice(&[0, 32]);
        public.extend_from_slice(policy.as_bytes());
        public.extend_from_slice(&SCHEME);
        let asked = public.clone();
        public.extend_from_slice(&[0, 0]);

        // No authorisation value, then the secret. Its room is never outgrown, so no
        // copy is left.
        let mut sensitive = Zeroizing::new(Vec::with_capacity(64));
        sensitive.extend_from_slice(&[0, 0, 0, 32]);
        sensitive.extend_from_slice(secret.expose());

        let mut command = Command::new(Code::CREATE, &[storage_root.entity()]);
        command
            .parameters
            .sized(&sensitive)
            .sized(&public)
            // Neither outside information nor PCRs at creation.
            .sized(&[])
            .u32(0);
        let empty = Auth::empty();
        let used = Use::authorizing(&empty).encrypting().decrypting();
        let answer = self.run(&mut command, used)?;
        let (private, public) = answer.read(|reader| {
            let private = reader.sized(LARGEST_PRIVATE)?.to_vec();
            let public = reader.sized(LARGEST_PUBLIC)?.to_vec();
            // Creation data, hash and ticket.
            reader.rest();
            Some((private, public))
        })?;
        if !public.starts_with(&asked) {
            return Err(command.malformed());
        }
        Ok(Sealed {
            storage_root: storage_root.name(),
            pcr_key: pcr_key.name(),
            pcr_7,
            sealings,
            public,
            private,
        })
    }
}
