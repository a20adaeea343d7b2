//! `./bastide test`: unit tests, then the image as shipped attacked in virtual machines.

use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, Stdio};

use anyhow::{Context as _, ensure};
use bastide_boot::{CommandLine, Geometry};
use bastide_vm::hostile;

use crate::build::{self, Options};
use crate::context::Context;
use crate::fuzz;
use crate::host;
use crate::publish;
use crate::rescue;
use crate::run::Accel;
use crate::tools::cargo;

/// Arguments of `test`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Only scenarios whose name contains one of these; no unit tests then
    names: Vec<String>,
    /// Only what needs no virtual machine
    #[arg(long, conflicts_with = "long")]
    quick: bool,
    /// Counter-proofs and campaigns as well
    #[arg(long)]
    long: bool,
    /// List the scenarios and their claims
    #[arg(long)]
    list: bool,
    /// The product that is attacked
    #[arg(long, default_value = "demo")]
    product: String,
    /// How QEMU runs
    #[arg(long, value_enum, default_value = "auto")]
    accel: Accel,
    /// How many scenarios at once
    #[arg(long, default_value_t = 2)]
    jobs: usize,
    /// Minutes that each campaign of --long lasts
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Where the campaigns' random choices start
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Refuse, rather than replace, a package version that is no longer served
    #[arg(long)]
    locked: bool,
}

impl Arguments {
    /// Whether the campaign of the fuzz targets is among what will run.
    fn fuzzes(&self) -> bool {
        if self.names.is_empty() {
            self.long
        } else {
            self.names
                .iter()
                .any(|name| fuzz::CAMPAIGN.contains(name.as_str()))
        }
    }
}

/// The products for the test bench.
const LATER: &str = "later";
/// See [`LATER`].
const TRIAL: &str = "trial";

/// How many tests passed and failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    passed: usize,
    failed: usize,
}

/// Runs the tests. The last line is `N passed, N failed`, over all of them.
///
/// # Errors
/// When something cannot be built or started; tests that fail are told by the exit code.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    if arguments.list {
        return scenarios(context, &["--list".to_owned()]);
    }
    let more: &[_] = if arguments.quick { &[] } else { host::RUN };
    host::require(&[host::TEST, more], context.yes)?;
    // Asked for before the long wait: a wrong --accel should not cost one.
    arguments.accel.choose()?;
    let unit = if arguments.names.is_empty() {
        unit_tests(context)?
    } else {
        Tally::default()
    };
    let options = Options {
        locked: arguments.locked,
        ..Options::default()
    };
    if arguments.quick && publish::record(&context.out.join(&arguments.product)).is_none() {
        // A build from nothing compiles a kernel, which nobody would call quick.
        eprintln!("bastide: nothing is built yet: only unit tests were run");
        println!("{} passed, {} failed", unit.passed, unit.failed);
        return Ok(ExitCode::from(u8::from(unit.failed > 0)));
    }
    let built = build::build_product(context, &arguments.product, &options)?;
    let materials = materials(context, &built.directory, &options)?;
    // Quick scenarios attack nothing but what is built already.
    let more = (!arguments.quick)
        .then(|| more_machines(context, &built.directory, &options))
        .transpose()?;

    let fuzzers = arguments
        .fuzzes()
        .then(|| fuzz::build(context))
        .transpose()?;

    let mut line = arguments.names.clone();
    let mut option = |name: &str, value: String| line.extend([name.to_owned(), value]);
    option("--images", built.directory.display().to_string());
    option("--materials", materials.display().to_string());
    option("--keys", context.keys.display().to_string());
    option(
        "--reports",
        context.out.join("reports").display().to_string(),
    );
    for (name, path) in more.into_iter().flatten() {
        option(name, path.display().to_string());
    }
    if let Some(fuzzers) = fuzzers {
        option("--fuzzers", fuzzers.display().to_string());
    }
    option("--accel", format!("{:?}", arguments.accel).to_lowercase());
    option("--jobs", arguments.jobs.to_string());
    option("--minutes", arguments.minutes.to_string());
    option("--seed", arguments.seed.to_string());
    option("--passed-before", unit.passed.to_string());
    option("--failed-before", unit.failed.to_string());
    for (flag, given) in [("--quick", arguments.quick), ("--long", arguments.long)] {
        if given {
            line.push(flag.to_owned());
        }
    }
    scenarios(context, &line)
}

/// Runs the unit tests of the whole workspace and counts them.
fn unit_tests(context: &Context) -> anyhow::Result<Tally> {
    eprintln!("bastide: unit tests");
    let mut child = cargo(context, "test")?
        .args(["--workspace", "--quiet", "--no-fail-fast"])
        .stdout(Stdio::piped())
        .spawn()
        .context("running cargo test")?;
    let mut tally = Tally::default();
    let output = child
        .stdout
        .take()
        .context("reading what cargo test says")?;
    for line in BufReader::new(output).lines() {
        let line = line.context("reading what cargo test says")?;
        if let Some(result) = test_result(&line) {
            tally.passed += result.passed;
            tally.failed += result.failed;
        } else if !is_routine(&line) {
            println!("{line}");
        }
    }
    let status = child.wait().context("running cargo test")?;
    ensure!(
        status.success() || tally.failed > 0,
        "cargo test could not run the unit tests: see above"
    );
    println!(
        "unit tests: {} passed, {} failed",
        tally.passed, tally.failed
    );
    std::io::stdout().flush()?;
    Ok(tally)
}

/// Reads `test result: ok. 14 passed; 0 failed; ...`.
fn test_result(line: &str) -> Option<Tally> {
    let rest = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let mut counts = rest.split("; ");
    let mut count = |word: &str| counts.next()?.strip_suffix(word)?.trim().parse().ok();
    Some(Tally {
        passed: count("passed")?,
        failed: count("failed")?,
    })
}

/// Lines that say nothing but that tests pass.
fn is_routine(line: &str) -> bool {
    line.is_empty() || line.starts_with("running ") || line.chars().all(|letter| letter == '.')
}

/// What the attacker brings, made in the image SDK.
fn materials(context: &Context, built: &Path, options: &Options) -> anyhow::Result<PathBuf> {
    let assets = build::assets(context, options.locked)?;
    let engine = build::engine(context, &assets, options);
    let file = built.join("cmdline");
    let line = std::fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    let geometry = Geometry::new(CommandLine::parse(&line)?.hash_offset);
    let step = hostile::materials(
        &built.join("bastide.efi"),
        &built.join("core.img"),
        &geometry,
    );
    Ok(engine.run(&step)?.directory)
}

/// A later release, one with hostile services in it, and the disk of the rescue machine.
fn more_machines(
    context: &Context,
    built: &Path,
    options: &Options,
) -> anyhow::Result<[(&'static str, PathBuf); 3]> {
    let later = build::build_product(context, LATER, options)?.directory;
    let trial = build::build_product(context, TRIAL, options)?.directory;
    let assets = build::assets(context, options.locked)?;
    let engine = build::engine(context, &assets, options);
    let rescue = rescue::rescue_disk(&engine, context, built)?;
    Ok([("--later", later), ("--trial", trial), ("--rescue", rescue)])
}

/// Runs the program of the scenarios.
fn scenarios(context: &Context, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let status = cargo(context, "run")?
        .args(["--quiet", "--package", "bastide-scenarios", "--"])
        .args(arguments)
        .status()
        .context("running the scenarios")?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargos_counts_are_understood() {
        let line = "test result: ok. 14 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out";
        let expected = Tally {
            passed: 14,
            failed: 2,
        };
        assert_eq!(test_result(line), Some(expected));
        assert_eq!(test_result("test result: FAILED. x passed; 1 failed"), None);
        assert_eq!(test_result("test parses_result: ok"), None);
    }

    #[test]
    fn failures_are_not_routine() {
        assert!(is_routine("......"));
        assert!(!is_routine("..F.."));
        assert!(!is_routine("---- tests::x stdout ----"));
    }
}
