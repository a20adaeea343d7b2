//! Namespaces.

use std::fs::File;
use std::path::Path;

use nix::sched::{CloneFlags, setns};
use serde::{Deserialize, Serialize};

use crate::SandboxError;

/// A namespace of the calling process itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Namespace {
    /// Mounts.
    Mount,
    /// Network interfaces: none but a loopback that is down.
    Network,
    /// System V IPC and POSIX message queues.
    Ipc,
    /// The host's name.
    Uts,
    /// The view of control groups: its own group is the root.
    Group,
}

impl Namespace {
    fn flag(self) -> CloneFlags {
        match self {
            Self::Mount => CloneFlags::CLONE_NEWNS,
            Self::Network => CloneFlags::CLONE_NEWNET,
            Self::Ipc => CloneFlags::CLONE_NEWIPC,
            Self::Uts => CloneFlags::CLONE_NEWUTS,
            Self::Group => CloneFlags::CLONE_NEWCGROUP,
        }
    }
}

/// Gives the calling process new namespaces.
///
/// # Errors
/// When the kernel refuses.
pub fn unshare(namespaces: &[Namespace]) -> Result<(), SandboxError> {
    let flags = namespaces
        .iter()
        .fold(CloneFlags::empty(), |flags, namespace| {
            flags | namespace.flag()
        });
    nix::sched::unshare(flags).map_err(|error| SandboxError::Namespaces(error.into()))
}

/// Which namespace of processes a new process starts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// One of its own, as its first process.
    Yes,
    /// The caller's.
    No,
}

/// The namespace of processes that the calling process lives in.
#[derive(Debug)]
pub struct PidNamespace(File);

impl PidNamespace {
    /// Remembers it.
    ///
    /// # Errors
    /// When /proc does not show it.
    pub fn current() -> Result<Self, SandboxError> {
        let path = Path::new("/proc/self/ns/pid");
        File::open(path)
            .map(Self)
            .map_err(|source| SandboxError::Step {
                step: "open",
                path: path.to_owned(),
                source,
            })
    }

    /// Starts a process by `start`. With [`Own::Yes`] the first process that it starts
    /// is the first of a new namespace; the caller stays where it is. The caller must
    /// have one thread only, or another's processes would end up there.
    ///
    /// # Errors
    /// When the kernel refuses; with [`SandboxError::Return`] the caller can start no
    /// further process in its own namespace.
    pub fn start<T>(&self, own: Own, start: impl FnOnce() -> T) -> Result<T, SandboxError> {
        if own == Own::No {
            return Ok(start());
        }
        nix::sched::unshare(CloneFlags::CLONE_NEWPID)
            .map_err(|error| SandboxError::Namespaces(error.into()))?;
        let started = start();
        setns(&self.0, CloneFlags::CLONE_NEWPID)
            .map_err(|error| SandboxError::Return(error.into()))?;
        Ok(started)
    }
}
