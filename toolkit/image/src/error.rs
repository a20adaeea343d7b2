//! What can go wrong while making a product.

use std::path::{Path, PathBuf};

/// Why there is no product.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A step failed.
    #[error(transparent)]
    Step(#[from] bastide_recipe::Error),
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
    /// A file is not the TOML it should be.
    #[error("{} has not the expected structure", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: toml::de::Error,
    },
    /// A step's description of its output cannot be understood.
    #[error("{} has not the expected structure", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
    /// A plan or request cannot be written down.
    #[error("cannot describe {what} to its step")]
    Describe {
        /// What was being described.
        what: &'static str,
        /// Why not.
        #[source]
        source: serde_json::Error,
    },
    /// The tree has no crate of that name.
    #[error("there is no crate {name} in the tree")]
    NoCrate {
        /// The name.
        name: String,
    },
    /// A service that the product names has no definition.
    #[error(
        "the product names the service {name}, but there is neither core/{name}/service.toml nor core/*/services/{name}/service.toml"
    )]
    NoService {
        /// The name.
        name: String,
    },
    /// A service's definition is wrong.
    #[error(transparent)]
    Service(#[from] bastide_config::problem::Problems),
    /// The definitions of a product's services do not fit each other.
    #[error("service {service}: `{key}`: {what}")]
    Disagreement {
        /// The service whose definition is to be mended.
        service: String,
        /// The key of its definition.
        key: &'static str,
        /// What is wrong.
        what: String,
    },
    /// The command line that was put together is one the initramfs would refuse.
    #[error("the initramfs would refuse the command line `{line}`")]
    CommandLine {
        /// The line.
        line: String,
        /// Why.
        #[source]
        source: bastide_boot::CommandLineError,
    },
    /// Where the Core's parts lie is not where the initramfs will look.
    #[error(
        "the FEC area of core.img starts at {found}, but the initramfs will look at {expected}"
    )]
    Geometry {
        /// Where the step put it, in bytes.
        found: u64,
        /// Where it must be, in bytes.
        expected: u64,
    },
    /// The hash offset makes no sense.
    #[error("core.img has an impossible hash offset")]
    HashOffset(#[from] bastide_boot::GeometryError),
    /// The product's version does not make a release number.
    #[error("product.toml: `product.version`")]
    Release(#[from] bastide_boot::ReleaseError),
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

/// Reads a text file.
pub(crate) fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(Error::file("read", path))
}
