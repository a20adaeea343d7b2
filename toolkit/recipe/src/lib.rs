//! Runs build steps in an isolated SDK and keeps their outputs by the hash of
//! their inputs.
//!
//! Purpose: a [`Step`] says everything that a piece of the build may see; the
//! [`Engine`] runs its script in namespaces where nothing else exists, and keeps
//! what it wrote to `/out` under a key that covers all of it.
//!
//! Trust boundary: scripts and the programs of the SDK are trusted with the
//! content of their own output, not with the host: they get no network, no host
//! file that the step does not name, and no way to change an input.
//!
//! This never does: reaching the network, reading configuration, deciding what
//! is built (the crates calling it do).

#![forbid(unsafe_code)]

mod engine;
mod error;
pub mod execute;
pub mod files;
mod hash;
pub mod interrupt;
mod key;
mod memory;
pub mod progress;
pub mod sandbox;
mod step;

pub use engine::{Builder, Engine, Sdk, Sdks, Variation};
pub use error::{Error, Failure};
pub use step::{Input, SdkName, Source, Step, StepKey, StepOutput};

/// SHA-256 of a file's content, as 64 hexadecimal digits.
///
/// # Errors
/// When the file cannot be read.
pub fn sha256_of_file(path: &std::path::Path) -> Result<String, Error> {
    hash::file(path)
}
