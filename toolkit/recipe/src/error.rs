//! What can go wrong with a step.

use std::io;
use std::path::{Path, PathBuf};

use crate::SdkName;

/// Why a step gave no output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be used.
    #[error("cannot {action} {}", path.display())]
    File {
        /// What was being done, as in "read".
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// A name that cannot be part of a path.
    #[error(
        "{name:?} cannot name a step, an input or a cache: use letters, digits, '.', '_' and '-'"
    )]
    Name {
        /// The name.
        name: String,
    },
    /// Two inputs that would be mounted in one place.
    #[error("step {step} has two inputs named {name:?}")]
    Duplicate {
        /// The step.
        step: String,
        /// The name used twice.
        name: String,
    },
    /// A socket, pipe or device among the inputs.
    #[error("{} is neither file, directory nor symbolic link: remove it", path.display())]
    Special {
        /// Which.
        path: PathBuf,
    },
    /// Somebody edited an input between hashing and copying it.
    #[error("{} changed while the build read it: run the command again", path.display())]
    Changed {
        /// The input.
        path: PathBuf,
    },
    /// The SDK is unknown or cannot be made.
    #[error("cannot prepare the SDK {name}")]
    Sdk {
        /// Which.
        name: SdkName,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The sandbox helper does not start.
    #[error("cannot start the sandbox helper {}", path.display())]
    Helper {
        /// The helper program.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The script, or the sandbox around it, failed.
    #[error("{0}")]
    Failed(Failure),
    /// Ctrl-C or a request to end.
    #[error("stopped; what was finished is kept, run the command again to resume")]
    Interrupted,
}

impl Error {
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}

/// A failed step, for a person: what it said last, where all it said is, what to
/// try.
#[derive(Debug)]
pub struct Failure {
    /// The step's name.
    pub step: String,
    /// Its exit code (128 + signal for a signal).
    pub code: i32,
    /// The last lines of its output.
    pub tail: Vec<String>,
    /// The file with the whole output.
    pub log: PathBuf,
}

impl Failure {
    /// What to try, from what the step said.
    pub fn hint(&self) -> &'static str {
        let said = |text: &str| self.tail.iter().any(|line| line.contains(text));
        if self.code == i32::from(crate::sandbox::EXIT_SANDBOX) {
            "the sandbox could not be set up: see the line above for what the host must allow"
        } else if said("No space left on device") {
            "free some space where the cache lies (`./bastide clean`), then run again"
        } else if self.code == 137 || said("signal 9") || said("signal: 9") {
            "memory ran out: free some, then run again"
        } else if said("Could not resolve host") || said("Network is unreachable") {
            "steps have no network: make what it wants an asset, and an input of the step"
        } else if said("No such file or directory") || said("command not found") {
            "a step sees only its SDK and the inputs it names: is one missing?"
        } else {
            "the same inputs fail the same way: correct the input or the recipe, then run again"
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            formatter,
            "step {} failed with exit code {}",
            self.step, self.code
        )?;
        for line in &self.tail {
            writeln!(formatter, "  | {line}")?;
        }
        writeln!(formatter, "  log: {}", self.log.display())?;
        write!(formatter, "  try: {}", self.hint())
    }
}
