//! `./bastide check`: everything that can be said of the tree without building an image.

use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::Context as _;
use bastide_check::{arrows, definitions, grants, links, manifest};
use bastide_services::exposure;

use crate::book;
use crate::context::Context;
use crate::tools::{self, CARGO_DENY};

/// Arguments of `check`.
#[derive(clap::Args)]
pub struct Arguments {}

/// What a check found.
#[derive(Default)]
struct Outcome {
    /// What makes it fail.
    problems: Vec<String>,
    /// What somebody should look at.
    warnings: Vec<String>,
}

impl From<Vec<String>> for Outcome {
    fn from(problems: Vec<String>) -> Self {
        Self {
            problems,
            ..Self::default()
        }
    }
}

/// Runs every check, prints a line for each, and fails when one did.
///
/// # Errors
/// When a check cannot be run at all.
pub fn run(_arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    let verdict = |mut command: Command| -> anyhow::Result<Outcome> {
        let status = command.status().context("running cargo")?;
        Ok(match status.success() {
            true => Outcome::default(),
            false => vec![format!("see above ({status})")].into(),
        })
    };
    type Check<'a> = (&'a str, Box<dyn Fn() -> anyhow::Result<Outcome> + 'a>);
    let checks: Vec<Check<'_>> = vec![
        (
            "format",
            Box::new(|| {
                let mut command = Command::new("cargo");
                command
                    .args(["fmt", "--all", "--check"])
                    .current_dir(&context.tree);
                verdict(command)
            }),
        ),
        (
            "clippy",
            Box::new(|| {
                let mut command = tools::cargo(context, "clippy")?;
                command.args([
                    "--quiet",
                    "--workspace",
                    "--all-targets",
                    "--",
                    "-D",
                    "warnings",
                ]);
                verdict(command)
            }),
        ),
        (
            "arrows between rooms",
            Box::new(|| Ok(arrows::violations(&context.tree)?.into())),
        ),
        (
            "manifests",
            Box::new(|| Ok(manifest::violations(&context.tree)?.into())),
        ),
        (
            "products, services",
            Box::new(|| Ok(definitions::violations(&context.tree)?.into())),
        ),
        (
            "grants",
            Box::new(|| {
                let found = grants::examine(&context.tree)?;
                Ok(Outcome {
                    problems: found.violations,
                    warnings: found.unused,
                })
            }),
        ),
        (
            "exposure table",
            Box::new(|| {
                let problem = exposure::violation(&context.tree)?;
                Ok(Vec::from_iter(problem).into())
            }),
        ),
        (
            "dependencies, licences",
            Box::new(|| {
                let output = Command::new(CARGO_DENY.program(context)?)
                    .args(["--offline", "--locked", "--log-level", "error", "check"])
                    .args(["bans", "licenses", "sources"])
                    .current_dir(&context.tree)
                    .output()
                    .context("running cargo-deny")?;
                Ok(match output.status.success() {
                    true => Outcome::default(),
                    false => vec![String::from_utf8_lossy(&output.stderr).into_owned()].into(),
                })
            }),
        ),
        (
            "docs of the code",
            Box::new(|| {
                let mut command = tools::cargo(context, "doc")?;
                command
                    .args([
                        "--quiet",
                        "--workspace",
                        "--no-deps",
                        "--document-private-items",
                    ])
                    .env("RUSTDOCFLAGS", "-D warnings");
                verdict(command)
            }),
        ),
        (
            "links in documents",
            Box::new(|| Ok(links::violations(&context.tree)?.into())),
        ),
        (
            "book, spelling",
            Box::new(|| match book::make(context) {
                Ok(_) => Ok(Outcome::default()),
                // A step that failed has told why already.
                Err(error) => Ok(vec![format!("{error:#}")].into()),
            }),
        ),
    ];
    let mut failed = 0;
    for (name, check) in &checks {
        let start = Instant::now();
        let Outcome { problems, warnings } = check()?;
        let verdict = if problems.is_empty() { "ok" } else { "FAILED" };
        println!(
            "{name:<24} {verdict:<7} {:>6.1} s",
            start.elapsed().as_secs_f64()
        );
        for problem in &problems {
            println!("    {problem}");
        }
        for warning in &warnings {
            println!("    warning: {warning}");
        }
        failed += usize::from(!problems.is_empty());
    }
    if failed > 0 {
        eprintln!("bastide: {failed} of {} checks failed", checks.len());
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
