//! Tools of the developer that no Debian package has: built from crates.io, once, into the cache.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::context::Context;

/// A program on crates.io, by its exact version (crates.io's index has its checksum).
#[derive(Debug, Clone, Copy)]
pub struct Tool {
    /// The crate, which is also the program's name.
    pub name: &'static str,
    /// The version, exactly.
    pub version: &'static str,
    /// Minutes its build takes on two cores, to be said before the wait.
    pub minutes: u32,
}

/// Judges dependencies and licences by `deny.toml`.
pub const CARGO_DENY: Tool = Tool {
    name: "cargo-deny",
    version: "0.20.2",
    minutes: 4,
};

impl Tool {
    /// The program, built now when the cache does not have it.
    ///
    /// # Errors
    /// When cargo cannot fetch or build it.
    pub fn program(self, context: &Context) -> anyhow::Result<PathBuf> {
        let root = context
            .cache
            .join("tools")
            .join(format!("{}-{}", self.name, self.version));
        let program = root.join("bin").join(self.name);
        if program.is_file() {
            return Ok(program);
        }
        eprintln!(
            "building {} {} once, into the cache (about {} minutes)",
            self.name, self.version, self.minutes
        );
        let status = Command::new("cargo")
            .args([
                "install",
                "--quiet",
                "--locked",
                self.name,
                "--version",
                self.version,
                "--root",
            ])
            .arg(&root)
            .status()
            .context("running cargo install")?;
        ensure!(
            status.success(),
            "cargo could not install {} {}; it needs the network once",
            self.name,
            self.version
        );
        Ok(program)
    }
}
