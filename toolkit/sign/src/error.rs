//! What can go wrong with keys.

use std::path::PathBuf;
use std::process::ExitStatus;

use crate::Role;

/// Why keys could not be made or used.
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
        source: std::io::Error,
    },
    /// There is no key set.
    #[error("there are no keys in {}; make a set with `bastide keys init`", path.display())]
    Absent {
        /// Where one was looked for.
        path: PathBuf,
    },
    /// There is something already where a key set was to be made.
    #[error("{} exists already and is left alone; name another directory, or move it away if you are sure that nothing needs these keys any more", path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The key set would be inside a source tree, where it could be committed.
    #[error("{} is inside the checkout {}; keys belong outside of it", path.display(), tree.display())]
    InsideTree {
        /// Where the keys were asked for.
        path: PathBuf,
        /// The checkout.
        tree: PathBuf,
    },
    /// A key file can be read by others.
    #[error("{} has mode {mode:04o}: others can read it; make it 0600, and think about who may have", path.display())]
    Exposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// `openssl` is not there.
    #[error(
        "cannot run openssl, which makes the keys; install it (on Debian: apt install openssl)"
    )]
    OpensslMissing(#[source] std::io::Error),
    /// `openssl` failed.
    #[error("openssl could not make the {role} key ({status}): {message}")]
    Openssl {
        /// Which key.
        role: Role,
        /// How it ended.
        status: ExitStatus,
        /// The end of what it said.
        message: String,
    },
    /// A certificate is not one.
    #[error("{} holds no single PEM certificate", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What the decoder found, if it was no PEM at all.
        #[source]
        source: Option<pem::PemError>,
    },
    /// `owner.guid` does not hold a GUID.
    #[error("{} holds no GUID", path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: uuid::Error,
    },
}
