//! Runs steps and keeps their outputs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::{Error, SdkName, Step, StepOutput};

/// A root file system in which steps run.
#[derive(Clone, Debug)]
pub struct Sdk {
    /// Its root directory, never written to.
    pub directory: PathBuf,
    /// What identifies its content.
    pub key: String,
}

/// Gives SDKs by name, making them when they do not exist yet.
pub trait Sdks {
    /// The key of an SDK, known without making it.
    ///
    /// # Errors
    /// When no such SDK is defined or locked.
    fn key(&self, name: &SdkName) -> Result<String, Box<dyn std::error::Error + Send + Sync>>;

    /// The SDK of that name, made now if need be.
    ///
    /// # Errors
    /// When no such SDK is defined, or it cannot be made.
    fn sdk(&self, name: &SdkName) -> Result<Sdk, Box<dyn std::error::Error + Send + Sync>>;
}

/// What may differ between two builds without changing what they make.
#[derive(Clone, Debug)]
pub struct Variation {
    /// The time zone (`TZ`).
    pub time_zone: String,
    /// The locale (`LC_ALL`).
    pub locale: String,
    /// The file mode creation mask.
    pub umask: u32,
    /// The host name seen by the steps.
    pub host_name: String,
    /// The scratch directory, which is also `HOME`.
    pub work: String,
    /// How many jobs to run at once (`JOBS`).
    pub jobs: usize,
    /// Whether inputs are copied so that their directories list in another order.
    pub reversed_files: bool,
}

impl Default for Variation {
    fn default() -> Self {
        Self {
            time_zone: "UTC".into(),
            locale: "C.UTF-8".into(),
            umask: 0o022,
            host_name: "bastide".into(),
            work: "/work".into(),
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            reversed_files: false,
        }
    }
}

/// Configuration of an [`Engine`].
pub struct Builder {
    cache: PathBuf,
    helper: Vec<OsString>,
    sdks: Box<dyn Sdks>,
    reuse: bool,
    declared_caches: bool,
    variation: Variation,
}

impl Builder {
    /// Whether outputs found in the cache are used; otherwise all is made again.
    #[must_use]
    pub fn reuse(mut self, reuse: bool) -> Self {
        self.reuse = reuse;
        self
    }

    /// Whether [`crate::Source::Cache`] directories persist; otherwise each step
    /// gets an empty one.
    #[must_use]
    pub fn declared_caches(mut self, persist: bool) -> Self {
        self.declared_caches = persist;
        self
    }

    /// The circumstances under which the steps run.
    #[must_use]
    pub fn variation(mut self, variation: Variation) -> Self {
        self.variation = variation;
        self
    }

    /// The engine so configured.
    #[must_use]
    pub fn build(self) -> Engine {
        Engine {
            configuration: self,
        }
    }
}

/// Runs steps and keeps their outputs by key.
pub struct Engine {
    configuration: Builder,
}

impl Engine {
    /// An engine keeping its outputs below `cache`. `helper` is the command line
    /// to which the path of a sandbox description is appended: a program that
    /// calls `sandbox::enter` with it.
    pub fn builder(cache: &Path, helper: Vec<OsString>, sdks: Box<dyn Sdks>) -> Builder {
        Builder {
            cache: cache.to_owned(),
            helper,
            sdks,
            reuse: true,
            declared_caches: true,
            variation: Variation::default(),
        }
    }

    /// The outputs of `step`, found in the cache or made now.
    ///
    /// # Errors
    /// When an input cannot be read, the SDK cannot be made or the script fails.
    pub fn run(&self, step: &Step) -> Result<StepOutput, Error> {
        Err(Error::File {
            action: "not yet written: cannot run a step in",
            path: self.configuration.cache.join(&step.name),
            source: std::io::ErrorKind::Unsupported.into(),
        })
    }
}
