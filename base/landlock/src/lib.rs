//! Landlock: what a process may do with the files that it sees.
//!
//! The kernel refuses whatever no rule allows, for the calling thread, what it
//! executes and whatever it starts, for good. On top of files: no TCP unless the
//! network is meant, no signals and no abstract sockets to anyone outside.
//!
//! This never does: go on with a kernel that knows less than [`REQUIRED`]; what newer
//! kernels know in addition is asked for as far as they know it.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd,
    Ruleset, RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetStatus, Scope,
};

/// What the kernel must know: Linux 6.12, the first to confine signals.
pub const REQUIRED: ABI = ABI::V6;

/// The newest that this crate knows the rights of.
const NEWEST: ABI = ABI::V10;

/// What may be done below a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Files read, directories listed, sockets connected to.
    Read,
    /// A program, or the loader of programs.
    Execute,
    /// Everything but executing and making devices.
    Change,
    /// A device.
    Device {
        /// Opened for reading.
        read: bool,
        /// Opened for writing.
        write: bool,
        /// Its own requests, ioctl(2).
        requests: bool,
    },
}

/// One path and what may be done below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// It must exist.
    pub path: PathBuf,
    /// What may be done.
    pub access: Access,
}

/// Why the restriction cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LandlockError {
    /// The kernel knows too little of Landlock, or nothing, or refuses.
    #[error("the kernel has no Landlock of version {REQUIRED} or newer")]
    Kernel(#[source] landlock::RulesetError),
    /// A path of a rule cannot be opened.
    #[error("cannot open {}", path.display())]
    Path {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: landlock::PathFdError,
    },
    /// A rule is refused.
    #[error("cannot allow anything below {}", path.display())]
    Rule {
        /// The path.
        path: PathBuf,
        /// Why not.
        #[source]
        source: landlock::RulesetError,
    },
    /// The kernel refuses the restriction.
    #[error("cannot restrict the process")]
    Restrict(#[source] landlock::RulesetError),
    /// It took it, but does not enforce it.
    #[error("the restriction is not enforced")]
    NotEnforced,
}

/// What is left alone, because it is granted otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Unrestricted {
    /// TCP.
    pub network: bool,
    /// Signals to processes that are not confined by these very rules.
    pub signals: bool,
}

/// Rules ready to be enforced.
#[derive(Debug)]
#[must_use]
pub struct Restriction(RulesetCreated);

impl Restriction {
    /// Gathers the rules.
    ///
    /// # Errors
    /// When the kernel knows too little, or a path does not exist.
    pub fn new(rules: &[Rule], unrestricted: Unrestricted) -> Result<Self, LandlockError> {
        let mut created = ruleset(unrestricted).map_err(LandlockError::Kernel)?;
        for rule in rules {
            let path = PathFd::new(&rule.path).map_err(|source| LandlockError::Path {
                path: rule.path.clone(),
                source,
            })?;
            let allowed = rights(rule.access, rule.path.is_dir());
            created = created
                .add_rule(PathBeneath::new(path, allowed))
                .map_err(|source| LandlockError::Rule {
                    path: rule.path.clone(),
                    source,
                })?;
        }
        Ok(Self(created))
    }

    /// Enforces the rules: from here on they hold.
    ///
    /// # Errors
    /// When the kernel does not enforce them.
    pub fn enforce(self) -> Result<(), LandlockError> {
        let status = self.0.restrict_self().map_err(LandlockError::Restrict)?;
        match status.ruleset {
            // Partially: it does not know what only newer ones do.
            RulesetStatus::FullyEnforced | RulesetStatus::PartiallyEnforced => Ok(()),
            RulesetStatus::NotEnforced => Err(LandlockError::NotEnforced),
        }
    }
}

fn ruleset(unrestricted: Unrestricted) -> Result<RulesetCreated, landlock::RulesetError> {
    let mut ruleset = Ruleset::default();
    // What is required fails without it; what is newer is taken where it is there.
    for (level, version) in [
        (CompatLevel::HardRequirement, REQUIRED),
        (CompatLevel::BestEffort, NEWEST),
    ] {
        let mut scopes = Scope::from_all(version);
        scopes.set(Scope::Signal, !unrestricted.signals);
        ruleset = ruleset
            .set_compatibility(level)
            .handle_access(AccessFs::from_all(version))?
            .scope(scopes)?;
        if !unrestricted.network {
            ruleset = ruleset.handle_access(AccessNet::from_all(version))?;
        }
    }
    ruleset.create()
}

fn rights(access: Access, directory: bool) -> BitFlags<AccessFs> {
    let mut rights = match access {
        Access::Read => AccessFs::ReadFile | AccessFs::ReadDir | AccessFs::ResolveUnix,
        Access::Execute => AccessFs::Execute | AccessFs::ReadFile,
        Access::Change => {
            AccessFs::from_all(NEWEST)
                & !(AccessFs::Execute
                    | AccessFs::MakeChar
                    | AccessFs::MakeBlock
                    | AccessFs::IoctlDev)
        }
        Access::Device {
            read,
            write,
            requests,
        } => {
            let mut rights = BitFlags::empty();
            rights.set(AccessFs::ReadFile, read);
            rights.set(AccessFs::WriteFile, write);
            rights.set(AccessFs::IoctlDev, requests);
            rights
        }
    };
    if !directory {
        rights &= AccessFs::from_file(NEWEST);
    }
    rights
}

/// Whether the kernel has Landlock as it is required here.
#[must_use]
pub fn is_supported() -> bool {
    ruleset(Unrestricted::default()).is_ok()
}

/// The loader that dynamically linked programs of x86-64 name.
#[must_use]
pub fn loader() -> &'static Path {
    Path::new("/lib64/ld-linux-x86-64.so.2")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_changed_cannot_be_executed_or_become_a_device() {
        let change = rights(Access::Change, true);
        for never in [AccessFs::Execute, AccessFs::MakeChar, AccessFs::MakeBlock] {
            assert!(!change.contains(never));
        }
        for usual in [AccessFs::WriteFile, AccessFs::MakeReg, AccessFs::Truncate] {
            assert!(change.contains(usual));
        }
        let read = rights(Access::Read, true);
        assert!(!read.intersects(AccessFs::WriteFile | AccessFs::Execute | AccessFs::MakeReg));
    }

    #[test]
    fn rules_of_files_hold_rights_of_files_only() {
        let all = AccessFs::from_file(NEWEST);
        for access in [Access::Read, Access::Execute, Access::Change] {
            assert!(all.contains(rights(access, false)));
        }
    }

    #[test]
    fn a_kernel_without_it_is_an_error() {
        let rules = [Rule {
            path: PathBuf::from("/usr"),
            access: Access::Read,
        }];
        let made = Restriction::new(&rules, Unrestricted::default());
        assert_eq!(made.is_ok(), is_supported());
        if let Err(error) = made {
            assert!(matches!(error, LandlockError::Kernel(_)), "{error}");
        }
    }
}
