//! Makes the owner's keys and signs with them.
//!
//! Purpose: a [`Signer`] says how each key is reached from inside a build step;
//! the functions in [`steps`] turn it into steps that sign boot binaries, root
//! hashes and modules. Today keys are files ([`KeyDirectory`]); a PKCS#11 token
//! is one more implementation of the trait, handing out a URI instead of a file.
//!
//! Trust boundary: whoever reads a key file is the owner. Private keys are named
//! here but never read: `openssl` writes them, the sandboxed signing tools read
//! them, and only certificates pass through this process.
//!
//! This never does: copying a private key, replacing a key set that exists, or
//! writing keys inside a source tree.
#![forbid(unsafe_code)]

mod certificate;
mod create;
mod directory;
mod error;
mod role;
pub mod steps;

pub use certificate::{Certificate, Fingerprint};
pub use create::create;
pub use directory::KeyDirectory;
pub use error::Error;
pub use role::Role;
pub use steps::{KeyAccess, Signer};
