//! A TPM 2.0: PCRs, NV indices, sealing and unsealing.
//!
//! Purpose: the commands that Bastide needs, and no others, over `/dev/tpmrm0` or any
//! byte stream that carries TPM commands.
//!
//! Trust boundary: the bus. Whoever solders wires to it reads every byte and may change
//! them. So each secret crosses it in a [`Session`] that is salted to the TPM's storage
//! root key: the secret's parameter is encrypted (AES-128-CFB with a key that changes
//! with each command), each answer's HMAC is checked, and a changed answer is
//! [`TpmError::Tampered`]. Every answer is parsed with bounds. What the sessions do not
//! stop: somebody on the bus who carries on a session of his own, from the first
//! measurement on, with a TPM that holds the right PCRs.
//!
//! This never does: keeping a secret longer than a call, printing one, or starting,
//! clearing or taking over a TPM without being told.
//!
//! # Why the marshalling is ours
//!
//! `tpm2-crypto` 1.2 links OpenSSL: C, which the initramfs has none of. `tpm2-protocol`
//! 1.2 is pure Rust and knows every command, but it needs a newer compiler than the
//! workspace asks of newcomers, holds parameters in buffers that are `Copy`, are not
//! wiped and print their content, casts wire bytes with `unsafe`, and leaves sessions
//! (nonces, HMAC, parameter encryption), the part that matters, to its user. `tss-esapi`
//! wraps the C stack. We use 25 commands; their parameters are a few integers and sized
//! buffers each. The cryptography is RustCrypto's (p256, hmac, sha2, aes, cfb-mode),
//! a reviewed implementation each.
//!
//! Sources: TCG TPM 2.0 Library 1.59, part 1 (sessions: 19 and 21; key derivation:
//! 11.4.10), part 2, part 3; TCG PC Client Platform TPM Profile; TCG TPM v2.0
//! Provisioning Guidance (the storage root key).
#![forbid(unsafe_code)]

mod auth;
mod capability;
mod channel;
mod code;
mod command;
mod crypto;
mod error;
mod nv;
mod owner;
mod pcr;
mod random;
mod seal;
mod session;
mod signature;
mod storage_root;
mod tpm;
mod transport;
mod unseal;
mod wire;

pub use auth::Auth;
pub use bastide_tpm_policy as policy;
pub use capability::{Clock, GuessingProtection, Properties};
pub use channel::Channel;
pub use code::ResponseCode;
pub use error::TpmError;
pub use nv::{NvError, NvState};
pub use owner::{LOCKOUT_RECOVERY, MAX_TRIES, OwnershipError, RECOVERY_INTERVAL};
pub use session::Session;
pub use storage_root::{STORAGE_ROOT, StorageRoot, StorageRootError};
pub use tpm::Tpm;
pub use transport::{LARGEST_MESSAGE, Stream, Transport};
pub use unseal::{UnsealError, Unsealing};
