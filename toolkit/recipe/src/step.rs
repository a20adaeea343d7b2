//! What a step is: the description from which its key is computed.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// The name of an SDK: a file `products/base/sdk/<name>.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SdkName(pub String);

impl SdkName {
    /// The SDK of that name.
    pub fn new(name: impl Into<String>) -> Self {
        Self(name.into())
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SdkName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// SHA-256, as 64 hexadecimal digits, over everything that a step can see.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepKey(pub(crate) String);

impl StepKey {
    /// The 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 digits, as used in directory names.
    pub fn short(&self) -> &str {
        &self.0[..16]
    }
}

impl fmt::Display for StepKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// One step of a build: a script, and all that it may see.
#[derive(Clone, Debug)]
pub struct Step {
    /// Lower-case letters, digits and `-`; shown to people and part of the
    /// directory name.
    pub name: String,
    /// The SDK in which the script runs.
    pub sdk: SdkName,
    /// Run by `bash -euo pipefail` in `/work`; a line `@progress <done> <total>`
    /// on its standard output moves the progress bar.
    pub script: String,
    /// What the script finds under `/in`, `/cache` and `/secret`.
    pub inputs: Vec<Input>,
    /// Added to the fixed environment of every step.
    pub environment: BTreeMap<String, String>,
    /// How long the step takes on two cores, until a first run has measured it.
    pub expected: Duration,
}

/// Something a step may read (or, for a declared cache, write).
#[derive(Clone, Debug)]
pub struct Input {
    /// Mounted read-only at `/in/<name>` (`/cache/<name>` for a declared cache,
    /// `/secret/<name>` for a secret).
    pub name: String,
    /// Where it comes from.
    pub source: Source,
}

impl Input {
    /// The input `name`, coming from `source`.
    pub fn new(name: impl Into<String>, source: Source) -> Self {
        Self {
            name: name.into(),
            source,
        }
    }
}

/// Where an input comes from, and so how it enters the step's key.
#[derive(Clone, Debug)]
pub enum Source {
    /// A file or directory of the tree; identified by content, file names,
    /// executable bits and the targets of symbolic links.
    Path(PathBuf),
    /// Bytes computed by the toolkit, seen as a file.
    Inline(Vec<u8>),
    /// The output directory of an earlier step; identified by that step's key.
    Output(StepOutput),
    /// A directory of vendored crates and the key that identifies it.
    Crates(PathBuf, String),
    /// A file that must not leak into the cache: only its public fingerprint
    /// enters the key.
    Secret {
        /// The file, mounted at `/secret/<name>`.
        path: PathBuf,
        /// What identifies it publicly, for example the hash of a certificate.
        fingerprint: String,
    },
    /// A writable directory kept between runs, mounted at `/cache/<name>`; never
    /// part of the key, so it must not change what a step makes.
    Cache {
        /// Name of the directory, shared by the steps that name it.
        name: String,
    },
}

/// What a step made.
#[derive(Clone, Debug)]
pub struct StepOutput {
    /// What the script left in `/out`, read-only.
    pub directory: PathBuf,
    /// What identifies it.
    pub key: StepKey,
    /// How long the script ran when the output was made.
    pub seconds: f64,
    /// Whether the output was found rather than made.
    pub reused: bool,
}
