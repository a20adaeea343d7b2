//! What Bastide keeps in a TPM, and the policy under which the TPM gives it out.
//!
//! Purpose: one place that both sides compute with. The toolkit signs a policy digest
//! at build time, the machine replays it in its TPM at boot; a byte of difference and
//! no machine opens its state again.
//!
//! Trust boundary: everything parsed here (the `.pcrsig` section, public keys, records
//! read from the TPM, what a person types) may come from an attacker, so every parser
//! is bounded and refuses what it does not know. Nothing here decides whom to trust:
//! the TPM does, by comparing digests.
//!
//! This never does: I/O, making random numbers, or printing a secret.
//!
//! Sources: TCG TPM 2.0 Library, part 1 (names, policies), part 2 (structures), part 3
//! (policy commands); systemd's `.pcrsig` (systemd-measure(1)); RFC 5869, RFC 4648.
#![forbid(unsafe_code)]

mod digest;
mod marshal;
mod nv;
mod pcr_key;
mod policy;
mod record;
mod recovery_key;
mod release;
mod sealed;
mod secret;
mod signature_file;

pub use digest::{Digest, Name};
pub use nv::{
    LOG_COUNTER, NvAttributes, NvDefinition, NvIndex, NvPolicy, RECORD, RECORD_SIZE, VERSION,
    VERSION_SIZE,
};
pub use pcr_key::{LARGEST_PUBLIC_KEY, PcrKey, PcrKeyError, PcrKeyKind};
pub use policy::{
    KERNEL_BUNDLE_PCR, POLICY_REFERENCE, Pcr, Policy, SECURE_BOOT_PCR, approval, approved_policy,
    sealing_policy, version_suffix,
};
pub use record::{Phase, Record, RecordError, SEALINGS_OFFSET};
pub use recovery_key::{RecoveryKey, RecoveryKeyError};
pub use release::{Release, ReleaseError};
pub use sealed::{Sealed, SealedError};
pub use secret::{Label, MachineSecret, Secret};
pub use signature_file::{
    ApprovedPolicy, LARGEST_SIGNATURE_FILE, SignatureFile, SignatureFileError,
};

/// The word that the initramfs extends PCR 11 with before it asks for the state key.
pub const ENTER_INITRD: &str = "enter-initrd";

/// The word that the initramfs extends PCR 11 with once it has asked, whatever the answer.
pub const LEAVE_INITRD: &str = "leave-initrd";
