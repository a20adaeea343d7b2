//! What can go wrong while composing.

use std::path::{Path, PathBuf};

/// Why no tree, or no description of it, was made.
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
    /// A file is not the JSON it should be.
    #[error("{} has not the expected structure", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A file that must be an ELF object is not one, or a malformed one.
    #[error("{} is no ELF file that can be understood", path.display())]
    Elf {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: object::Error,
    },
    /// A needed library is in none of the packages.
    #[error(
        "{library}, needed by {needed_by}, is in none of the library directories of the packages"
    )]
    LibraryMissing {
        /// Its name as in `DT_NEEDED`.
        library: String,
        /// Path of the file needing it, inside the Core.
        needed_by: String,
    },
    /// A needed file belongs to a package that the product does not list.
    #[error(
        "{path} belongs to package {package}, which the product does not list under [[packages]]: add it with a reason, or do without"
    )]
    PackageNotListed {
        /// The file.
        path: String,
        /// Its package.
        package: String,
    },
    /// A needed file belongs to no package.
    #[error("{path} belongs to no package, so nobody can say where it came from")]
    NoPackage {
        /// The file.
        path: String,
    },
    /// Two things want to be at one path.
    #[error("{path} is put into the Core twice")]
    Twice {
        /// The path inside the Core.
        path: String,
    },
    /// A path of the plan leaves the Core or is not in normal form.
    #[error("{path} is no plain path inside the Core")]
    Outside {
        /// The path.
        path: String,
    },
    /// Symbolic links go round in a circle.
    #[error("{path} is a symbolic link that leads nowhere")]
    Link {
        /// The path.
        path: String,
    },
    /// `Cargo.lock` is not what cargo writes.
    #[error("{} is no lock file", path.display())]
    Lock {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: toml::de::Error,
    },
    /// The bill of materials names a crate that `Cargo.lock` does not have.
    #[error("crate {name} {version} is linked in but not in the lock file")]
    CrateNotLocked {
        /// Its name.
        name: String,
        /// Its version.
        version: String,
    },
    /// An input of the bill of materials does not name something it must.
    #[error("{what} is missing from {}", path.display())]
    Missing {
        /// What was looked for.
        what: String,
        /// Where.
        path: PathBuf,
    },
}

impl Error {
    /// Names the action and the path of a failed file operation.
    pub(crate) fn file(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File {
            action,
            path,
            source,
        }
    }
}
