//! Disks that a guest may write on without the image noticing.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Why a disk could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// The tool does not start.
    #[error("{program} does not start; install package {package}")]
    Tool {
        /// What was called.
        program: &'static str,
        /// The Debian package that has it.
        package: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The tool failed.
    #[error("{program} could not make {}: {message}", path.display())]
    Failed {
        /// What was called.
        program: &'static str,
        /// What it was to make.
        path: PathBuf,
        /// Its own words.
        message: String,
    },
}

fn call(
    program: &'static str,
    package: &'static str,
    path: &Path,
    command: &mut Command,
) -> Result<(), DiskError> {
    let output = command.output().map_err(|source| DiskError::Tool {
        program,
        package,
        source,
    })?;
    if output.status.success() {
        return Ok(());
    }
    Err(DiskError::Failed {
        program,
        path: path.to_owned(),
        message: String::from_utf8_lossy(&output.stderr).trim().to_owned(),
    })
}

/// Copies an image to be changed; holes stay holes, and blocks are shared where
/// the file system can.
pub fn sparse_copy(from: &Path, to: &Path) -> Result<(), DiskError> {
    call(
        "cp",
        "coreutils",
        to,
        Command::new("cp")
            .args([
                "--sparse=always",
                "--reflink=auto",
                "--no-preserve=mode",
                "--",
            ])
            .arg(from)
            .arg(to),
    )
}
