//! Checks of the tree itself: which room may use which, how dependencies are declared,
//! whether code asks for no more than its service is granted,
//! where links lead.
//!
//! Trust boundary: reads the checkout only. This never changes a file and never builds anything.
#![forbid(unsafe_code)]

pub mod arrows;
pub mod definitions;
pub mod grants;
pub mod links;
pub mod manifest;

/// A file or directory of the tree that cannot be read, so that nothing can be said of it.
#[derive(Debug, thiserror::Error)]
#[error("reading {path}")]
pub struct Unreadable {
    /// The file or directory.
    path: std::path::PathBuf,
    /// What the system said.
    source: std::io::Error,
}
