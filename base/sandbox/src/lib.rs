//! Namespaces, and a root of its own for a process.
//!
//! A process that enters a [`Root`] sees what was put into it and nothing else: the
//! old root is unmounted, not hidden. Everything is nosuid, and nodev and noexec
//! unless it is there for that; what is to be read is mounted read-only, with all
//! that is mounted below it.
//!
//! Callers are root and trusted; what they name may lie in directories that others
//! write to, so no link is followed there. This never does: change anything outside
//! the mount namespace of the calling process.
#![forbid(unsafe_code)]

mod namespaces;
mod root;

use std::io;
use std::path::PathBuf;

pub use namespaces::{Namespace, Own, PidNamespace, unshare};
pub use root::{Item, Root, Scratch};

/// Why a sandbox cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The kernel refuses namespaces.
    #[error("cannot make namespaces")]
    Namespaces(#[source] io::Error),
    /// The namespace that our own children are made in cannot be had back.
    #[error("cannot return to the own namespace of processes")]
    Return(#[source] io::Error),
    /// A step of making the root failed.
    #[error("cannot {step} {}", path.display())]
    Step {
        /// What was tried.
        step: &'static str,
        /// With what, as seen in the sandbox or outside.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}
