//! `bastide-rootfs`: composes the Core in a build step, or writes its bill of
//! materials.
#![forbid(unsafe_code)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, bail};
use bastide_rootfs::audit::{Expected, audit};
use bastide_rootfs::compose::compose;
use bastide_rootfs::dpkg::PackageSet;
use bastide_rootfs::elf::Elf;
use bastide_rootfs::hardening::{self, Language};
use bastide_rootfs::sbom::{Request, epoch_timestamp, write};
use bastide_rootfs::{Error, Plan};
use serde::Serialize;
use serde::de::DeserializeOwned;

const USAGE: &str = "usage: bastide-rootfs compose PLAN PACKAGES SET OUT\n       bastide-rootfs judge PROGRAM\n       bastide-rootfs sbom REQUEST PACKAGES OUT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments[..] {
        ["compose", plan, packages, set, out] => run_compose(
            Path::new(plan),
            Path::new(packages),
            Path::new(set),
            Path::new(out),
        ),
        ["judge", program] => judge(Path::new(program)),
        ["sbom", request, packages, out] => {
            run_sbom(Path::new(request), Path::new(packages), Path::new(out))
        }
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bastide-rootfs: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run_compose(plan: &Path, packages: &Path, set: &Path, out: &Path) -> anyhow::Result<()> {
    let plan: Plan = read(plan)?;
    let tree = out.join("tree");
    fs::create_dir(&tree).with_context(|| format!("cannot create {}", tree.display()))?;
    let set = PackageSet::read(set)?;
    let origins = compose(&plan, packages, &set, &tree)?;

    let expected = Expected {
        programs: plan
            .programs
            .iter()
            .map(|program| program.to.clone())
            .collect(),
        known: origins
            .entries
            .iter()
            .map(|entry| entry.path.clone())
            .collect::<BTreeSet<_>>(),
        exceptions: plan.exceptions,
    };
    let verdict = audit(&tree, &expected)?;
    store(&out.join("hardening.json"), &verdict)?;
    store(&out.join("origins.json"), &origins)?;
    for violation in &verdict.violations {
        eprintln!("{violation}");
    }
    if !verdict.violations.is_empty() {
        bail!("{} faults in the Core", verdict.violations.len());
    }
    println!("{} files, {} of them ELF", verdict.files, verdict.elf.len());
    Ok(())
}

/// Judges a program of ours that is not in the Core: the initramfs's.
fn judge(program: &Path) -> anyhow::Result<()> {
    let content =
        fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let elf = Elf::parse(program, &content)?;
    let lacking = hardening::lacking(&elf, Language::Rust);
    if !lacking.is_empty() {
        bail!("{} lacks {lacking:?}", program.display());
    }
    Ok(())
}

fn run_sbom(request: &Path, packages: &Path, out: &Path) -> anyhow::Result<()> {
    let request: Request = read(request)?;
    let epoch = std::env::var("SOURCE_DATE_EPOCH").context("SOURCE_DATE_EPOCH is not set")?;
    let seconds = epoch.parse().context("SOURCE_DATE_EPOCH is no number")?;
    let bill = write(&request, &epoch_timestamp(seconds), packages)?;
    store(&out.join("sbom.cdx.json"), &bill)
}

fn read<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let content = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(
        serde_json::from_slice(&content).map_err(|source| Error::Json {
            path: path.to_owned(),
            source,
        })?,
    )
}

fn store(path: &Path, value: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
