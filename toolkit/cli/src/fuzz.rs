//! The fuzz targets of `fuzz/`, built for the campaign that runs them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::context::Context;
use crate::host;
use crate::tools::CARGO_FUZZ;

/// The scenario that runs the targets.
pub const CAMPAIGN: &str = "hostile_bytes_panic_no_parser";

/// Builds every target; returns a directory with nothing but them, below `out/`.
///
/// They are built without a sanitizer: our parsers are safe Rust, which panics where C
/// would corrupt memory, and no unstable compiler is needed.
///
/// # Errors
/// When cargo-fuzz cannot be had or a target does not build.
pub fn build(context: &Context) -> anyhow::Result<PathBuf> {
    host::require(&[host::FUZZ], context.yes)?;
    let program = CARGO_FUZZ.program(context)?;
    let sources = context.tree.join("fuzz/targets");
    let built = context.out.join("fuzz");
    eprintln!("bastide: building the fuzz targets");
    let status = Command::new(program)
        .args(["fuzz", "build", "--sanitizer", "none", "--fuzz-dir"])
        .arg(context.tree.join("fuzz"))
        .arg("--target-dir")
        .arg(built.join("target"))
        .current_dir(context.tree.join("fuzz"))
        .status()
        .context("running cargo-fuzz")?;
    ensure!(status.success(), "the fuzz targets do not build: see above");

    let programs = built.join("programs");
    crate::clean::remove(&programs)?;
    fs::create_dir_all(&programs).with_context(|| format!("making {}", programs.display()))?;
    let target = target()?;
    for entry in fs::read_dir(&sources).with_context(|| format!("reading {}", sources.display()))? {
        let source = entry
            .with_context(|| format!("reading {}", sources.display()))?
            .path();
        let name = source.file_stem().unwrap_or_default();
        let from = built
            .join("target")
            .join(&target)
            .join("release")
            .join(name);
        fs::copy(&from, programs.join(name))
            .with_context(|| format!("copying {}", from.display()))?;
    }
    Ok(programs)
}

/// The host's target triple, which cargo-fuzz makes part of the path.
fn target() -> anyhow::Result<String> {
    let output = Command::new("rustc")
        .args(["--print", "host-tuple"])
        .output()
        .context("running rustc")?;
    ensure!(output.status.success(), "rustc does not tell its host");
    let text = String::from_utf8(output.stdout).context("reading what rustc says")?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn every_target_is_declared() {
        let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
        let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
        for entry in std::fs::read_dir(fuzz.join("targets")).unwrap() {
            let name = entry.unwrap().file_name();
            let path = format!("path = \"targets/{}\"", name.to_string_lossy());
            assert!(manifest.contains(&path), "{path}");
        }
    }
}
