//! What can go wrong with assets.

use std::io;
use std::path::{Path, PathBuf};

/// Why assets are not available.
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
    /// A definition or the lock does not parse.
    #[error("{} is not valid: correct it, or make it again with `./bastide assets relock`", path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Where and why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// The lock was written by a newer Bastide.
    #[error("{} has version {found}, this Bastide reads version {known}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says.
        found: u32,
        /// What is understood.
        known: u32,
    },
    /// An SDK that is neither defined nor locked.
    #[error(
        "no package of bastide.lock belongs to {name:?}: add products/base/sdk/{name}.toml and run `./bastide assets relock`"
    )]
    Unlocked {
        /// Its name.
        name: String,
    },
    /// The definition asks for something else than when the lock was made.
    #[error("{} changed since bastide.lock was made: run `./bastide assets relock`", path.display())]
    Stale {
        /// The definition.
        path: PathBuf,
    },
    /// An SDK used as a set of files, or the reverse.
    #[error("{} has another kind than what it is used for: correct it, or name another", path.display())]
    Kind {
        /// The definition.
        path: PathBuf,
    },
    /// The host's apt configuration names no Debian mirror.
    #[error(
        "found no Debian mirror in this machine's apt configuration: name one with --mirror URL"
    )]
    NoMirror,
    /// A program that the host should have.
    #[error("cannot run {program}: install the Debian package {package}")]
    Program {
        /// The program.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
        /// Why it does not run.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("{program} failed:\n{}", indented(output))]
    Failed {
        /// The program.
        program: &'static str,
        /// What it said last.
        output: String,
    },
    /// No suite has a package that a definition asks for.
    #[error("{sdk} asks for {package}, which {suite} does not have")]
    NoPackage {
        /// The definition.
        sdk: String,
        /// The package.
        package: String,
        /// Where it was looked for.
        suite: String,
    },
    /// `--locked`, and the mirror does not serve what is locked.
    #[error(
        "the mirror does not serve {}: run without --locked to take the current versions, or `./bastide assets relock`",
        list(packages)
    )]
    Gone {
        /// Name, version and architecture of each.
        packages: Vec<String>,
    },
    /// The network gave nothing.
    #[error(
        "cannot fetch {}: is the network reachable? Without one, `./bastide assets import FILE` takes what `assets export` made elsewhere:\n{}",
        list(packages),
        indented(output)
    )]
    Unreachable {
        /// What was wanted.
        packages: Vec<String>,
        /// What the fetching program said last.
        output: String,
    },
    /// The mirror serves something else than what is locked.
    #[error(
        "the mirror serves {} with another SHA-256 than the locked one: try another mirror, and do not trust this one",
        list(packages)
    )]
    Corrupt {
        /// Name, version and architecture of each.
        packages: Vec<String>,
    },
    /// A file does not have the locked hash.
    #[error("{} does not have the locked SHA-256 {expected} but {found}: do not trust where it came from", path.display())]
    Hash {
        /// The file.
        path: PathBuf,
        /// What the lock says.
        expected: String,
        /// What it has.
        found: String,
    },
    /// A link or directory where a file should be.
    #[error("{} is not a file: do not trust where it came from", path.display())]
    NoFile {
        /// Where.
        path: PathBuf,
    },
    /// An archive lacks something that the lock names.
    #[error(
        "the archive lacks {}: export it again from the same checkout",
        list(names)
    )]
    Incomplete {
        /// What is missing.
        names: Vec<String>,
    },
    /// The crates of Cargo.lock are not unpacked.
    #[error("the crates of Cargo.lock are not in {}: start through ./bastide, which fetches them", path.display())]
    NoCrates {
        /// Where they should be.
        path: PathBuf,
    },
    /// Several users are needed for making an SDK without being root.
    #[error(
        "making an SDK as an ordinary user needs subordinate users: run `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 {user}`"
    )]
    NoSubordinates {
        /// The user.
        user: String,
    },
    /// From running something isolated, or from files shared with it.
    #[error(transparent)]
    Recipe(#[from] bastide_recipe::Error),
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

fn indented(text: &str) -> String {
    text.lines()
        .map(|line| format!("  | {line}"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// The first few of a list that may be long.
fn list(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(" and {} more", names.len() - SHOWN));
    }
    text
}
