//! Whether a service's code asks for what its definition does not grant.
//!
//! For each service the Rust sources of its program and of the crates of the tree that
//! it uses are read token by token, from `main.rs` along the names that are mentioned:
//! a path in a library counts only when the program can come to it. Then every path,
//! Varlink interface, address family and capability so found must be covered by the
//! definition, or by what every service has.
//!
//! What this cannot see: paths put together from parts that no literal holds, names in
//! crates of others, and code that a macro of others makes. It finds what was
//! forgotten, early and with the line; the sandbox is what refuses.

mod asks;
mod cover;
mod reach;
mod source;
mod tokens;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use bastide_services::catalogue::{self, Defined};
use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Package};

pub use asks::{Ask, What};
pub use source::Error as SourceError;

use cover::Granted;
use source::Root;

/// The crate that reads definitions. Its paths, interfaces and capabilities are the
/// words that a definition may use: a program that reads definitions asks for none of
/// them.
const DEFINITIONS: &str = "bastide_config";

/// Why the grants could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `cargo metadata` failed, as it does for a manifest with a mistake in it.
    #[error("reading the workspace with cargo metadata")]
    Metadata(#[from] cargo_metadata::Error),
    /// A definition cannot be read.
    #[error(transparent)]
    Definitions(#[from] catalogue::Error),
    /// A source cannot be read.
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// What code asks for and no definition grants, as sentences with file and line.
    pub violations: Vec<String>,
    /// What a definition grants and no code names, as sentences.
    pub unused: Vec<String>,
}

/// Compares the code of every service of every product that somebody may use with its
/// definition. Those of the test bench ask for what they are not granted: that is what
/// they are for.
///
/// # Errors
/// When manifests, definitions or sources cannot be read.
pub fn examine(tree: &Path) -> Result<Findings, Error> {
    let metadata = MetadataCommand::new()
        .manifest_path(tree.join("Cargo.toml"))
        .no_deps()
        .exec()?;
    let services: Vec<Defined> = catalogue::of_all(tree)?
        .into_iter()
        .map(|(defined, _)| defined)
        .collect();
    let mut findings = Findings::default();
    // Services of one program, which is read once.
    let mut programs: BTreeMap<&Path, Vec<&Defined>> = BTreeMap::new();
    for defined in &services {
        programs
            .entry(&defined.service.program)
            .or_default()
            .push(defined);
    }
    for (program, services_of_it) in programs {
        let Some(roots) = roots(&metadata, program) else {
            findings.violations.push(format!(
                "{}: no crate of the tree has the program {}",
                services_of_it
                    .first()
                    .map_or_else(PathBuf::new, |defined| defined.file.clone())
                    .display(),
                program.display()
            ));
            continue;
        };
        let asked = asked(tree, &roots)?;
        compare(&asked, &services_of_it, &services, &mut findings);
    }
    findings.violations.sort();
    findings.unused.sort();
    Ok(findings)
}

/// Everything that a program asks for, in the order of files and lines.
fn asked(tree: &Path, roots: &[Root]) -> Result<BTreeSet<Ask>, SourceError> {
    let source = source::read(tree, roots)?;
    Ok(reach::asks(&source))
}

/// Compares what a program asks for with the definitions of its services.
fn compare(
    asked: &BTreeSet<Ask>,
    services_of_it: &[&Defined],
    all: &[Defined],
    findings: &mut Findings,
) {
    let mut refused: BTreeMap<&Ask, Vec<&str>> = BTreeMap::new();
    for defined in services_of_it {
        let granted = Granted::of(&defined.service, all);
        for ask in asked {
            if !granted.covers(&ask.what) {
                let name = defined.service.name.as_str();
                refused.entry(ask).or_default().push(name);
            }
        }
        for grant in granted.unused(asked) {
            findings.unused.push(format!(
                "{}: {grant} is granted, and no code of {} names it",
                defined.file.display(),
                defined.service.program.display()
            ));
        }
    }
    for (ask, services) in refused {
        findings.violations.push(format!(
            "{}:{}: {} is not granted to {}; {}",
            ask.file.display(),
            ask.line,
            ask.what,
            services.join(", "),
            ask.what.advice()
        ));
    }
}

/// The crates that a program is made of, its own first: those of the tree that it
/// depends on, tests and build scripts left out.
fn roots(metadata: &Metadata, program: &Path) -> Option<Vec<Root>> {
    let file = program.file_name()?.to_str()?;
    let packages = metadata.workspace_packages();
    let own = packages.iter().find(|package| {
        let mut targets = package.targets.iter();
        targets.any(|target| target.is_bin() && target.name == file)
    })?;
    let main = own
        .targets
        .iter()
        .find(|target| target.is_bin() && target.name == file)?;
    let mut roots = vec![Root {
        name: file.replace('-', "_"),
        file: main.src_path.clone().into_std_path_buf(),
        is_program: true,
    }];
    let mut seen = BTreeSet::new();
    let mut next: Vec<&Package> = vec![own];
    while let Some(package) = next.pop() {
        if !seen.insert(&package.id) {
            continue;
        }
        let library = package.targets.iter().find(|target| target.is_lib());
        if let Some(library) = library {
            let name = library.name.replace('-', "_");
            if name != DEFINITIONS {
                roots.push(Root {
                    name,
                    file: library.src_path.clone().into_std_path_buf(),
                    is_program: false,
                });
            }
        }
        for dependency in &package.dependencies {
            let local = dependency.kind == DependencyKind::Normal && dependency.path.is_some();
            let found = packages
                .iter()
                .find(|package| package.name.as_str() == dependency.name);
            next.extend(found.filter(|_| local));
        }
    }
    Some(roots)
}

#[cfg(test)]
mod tests;
