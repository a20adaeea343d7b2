//! Cargo, and tools of the developer that no Debian package has.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};
use bastide_recipe::sha256_of_file;

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

/// Builds and runs fuzz targets.
pub const CARGO_FUZZ: Tool = Tool {
    name: "cargo-fuzz",
    version: "0.13.2",
    minutes: 2,
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

/// `cargo`, with the crates that `./bastide` unpacked, so that no network is needed.
///
/// # Errors
/// When this program or the lock file cannot be found.
pub fn cargo(context: &Context, command: &str) -> anyhow::Result<Command> {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(&context.tree).args([command, "--locked"]);
    // Where this program was built, most of what is needed is built already.
    let program = std::env::current_exe().context("finding the path of this program")?;
    if let Some(target) = program.parent().and_then(Path::parent)
        && target.starts_with(&context.cache)
    {
        cargo.env("CARGO_TARGET_DIR", target);
    }
    let lock = sha256_of_file(&context.tree.join("Cargo.lock"))?;
    let crates = context.cache.join("crates").join(lock);
    if crates.is_dir() {
        cargo.arg("--offline");
        cargo.args(["--config", "source.crates-io.replace-with='bastide'"]);
        let directory = format!("source.bastide.directory='{}'", crates.display());
        cargo.args(["--config", &directory]);
    }
    Ok(cargo)
}
