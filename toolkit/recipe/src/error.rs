//! What can go wrong with a step.

use std::path::PathBuf;

/// Why a step gave no output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or directory could not be used.
    #[error("{action} {}", path.display())]
    File {
        /// What was being done, as in "cannot read".
        action: &'static str,
        /// To which path.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
}
