//! The sandbox in which a step runs.
//!
//! Without `fork` there is no unsafe code, so the helper program executes itself:
//! first *outside*, where it leaves the host's namespaces, then *inside*, as
//! process 1 of the new pid namespace, where it builds the file tree, gives up
//! its privileges and becomes the step's shell. When either dies, or the engine
//! does, everything inside dies with it.

mod inside;
mod outside;
mod tree;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::{Deserialize, Serialize};

/// Set by the outer process for the inner one.
const STAGE: &str = "BASTIDE_SANDBOX_STAGE";

/// The exit code that tells the engine that the sandbox, not the script, failed.
pub(crate) const EXIT_SANDBOX: u8 = 121;

/// Everything the helper needs to know, as a JSON file.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Spec {
    /// An empty directory of the host on which the new tree is put together.
    pub staging: PathBuf,
    /// The root directory of the SDK.
    pub sdk: PathBuf,
    /// What is visible beside the SDK.
    pub binds: Vec<Bind>,
    /// The whole environment.
    pub environment: BTreeMap<String, String>,
    /// The working directory, a bind's target.
    pub work: PathBuf,
    /// Host name inside.
    pub host_name: String,
    /// File mode creation mask.
    pub umask: u32,
    /// The user id that the command runs as inside.
    pub user: u32,
    /// Where the outer process writes its [`Usage`].
    pub usage: PathBuf,
    /// The command, with its arguments.
    pub command: Vec<String>,
}

/// A file or directory of the host made visible inside.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// Inside, absolute.
    pub target: PathBuf,
    /// Whether it may be written.
    pub writable: bool,
    /// Whether a copy on tmpfs is made visible instead, whose directories list
    /// their files in another order than the original's.
    pub reorder: bool,
}

/// What the processes of a step took.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Usage {
    /// Resident memory of the largest process, in bytes.
    pub largest_process: u64,
    /// Processor time, in seconds.
    pub processor_seconds: f64,
}

/// Why the sandbox could not be entered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SandboxError {
    /// The description is missing or malformed.
    #[error("cannot use the sandbox description {}", path.display())]
    Spec {
        /// The description.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The kernel refused new namespaces.
    #[error(
        "cannot create namespaces: allow user namespaces for this user \
         (sysctl user.max_user_namespaces, kernel.unprivileged_userns_clone, \
         kernel.apparmor_restrict_unprivileged_userns)"
    )]
    Namespaces(#[source] std::io::Error),
    /// A mount, or the preparation of one, failed.
    #[error("cannot {action} {}", path.display())]
    Tree {
        /// What was being done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A restriction of the process could not be applied.
    #[error("cannot {0}")]
    Restrict(&'static str, #[source] std::io::Error),
    /// The command of the step does not start.
    #[error("cannot start {command}")]
    Command {
        /// The program.
        command: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Enters the sandbox described by the file `spec` and runs its command; what the
/// helper program (`bastide __sandbox`) calls from its single thread. Returns the
/// exit code for the helper: the command's own, 128 + signal, or 121.
pub fn enter(spec: &Path) -> ExitCode {
    let result = read(spec).and_then(|description| {
        if std::env::var_os(STAGE).is_some() {
            inside::run(&description).map(|never| match never {})
        } else {
            outside::run(&description, spec)
        }
    });
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            let mut text = format!("sandbox: {error}");
            let mut cause = std::error::Error::source(&error);
            while let Some(inner) = cause {
                text.push_str(&format!(": {inner}"));
                cause = inner.source();
            }
            eprintln!("{text}");
            ExitCode::from(EXIT_SANDBOX)
        }
    }
}

fn read(path: &Path) -> Result<Spec, SandboxError> {
    let spec = |source| SandboxError::Spec {
        path: path.to_owned(),
        source,
    };
    let text = std::fs::read(path).map_err(spec)?;
    serde_json::from_slice(&text).map_err(|error| spec(error.into()))
}
