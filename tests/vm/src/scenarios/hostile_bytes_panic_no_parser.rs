//! A campaign without a machine: the fuzz targets, one after the other.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};

use crate::bench::Bench;
use crate::report::Report;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "hostile_bytes_panic_no_parser",
    claim: "Whatever bytes it is fed, no parser panics, hangs, fills the memory or accepts what it cannot \
            write again.",
    class: Class::Long,
    run,
};

/// Seconds that one input may take: honest ones take far less than one.
const SLOWEST: u32 = 10;

/// MiB that a parser may use.
const MEMORY: u32 = 512;

fn run(bench: &Bench) -> Result<()> {
    let mut targets = Vec::new();
    let directory = bench.fuzzers()?;
    for entry in fs::read_dir(directory).with_context(|| format!("reading {}", directory.display()))? {
        targets.push(entry.with_context(|| format!("reading {}", directory.display()))?.path());
    }
    targets.sort();
    ensure!(!targets.is_empty(), "no fuzz target in {}", directory.display());
    fs::create_dir_all(bench.record())?;
    let mut report = Report::new("fuzzing", bench.seed);
    let share = bench.campaign.as_secs() / u64::try_from(targets.len())?;
    for target in &targets {
        let inputs = fuzz(bench, target, share.max(5));
        match inputs {
            Ok(inputs) => report.add(&format!("inputs to {}", name(target)), inputs),
            Err(error) => {
                report.add(&format!("failures of {}", name(target)), 1);
                report.write(bench.reports())?;
                return Err(error);
            }
        }
    }
    report.write(bench.reports())
}

fn name(target: &Path) -> String {
    target.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Runs one target for `seconds`; returns how many inputs it was given. What it learnt
/// is kept beside the reports, for the next campaign to start from.
fn fuzz(bench: &Bench, target: &Path, seconds: u64) -> Result<u64> {
    let name = name(target);
    let corpus = bench.reports().join("corpus").join(&name);
    fs::create_dir_all(&corpus).with_context(|| format!("making {}", corpus.display()))?;
    let output = Command::new(target)
        .arg(&corpus)
        .arg(format!("-max_total_time={seconds}"))
        // Libfuzzer takes 0 for a seed of its own choice.
        .arg(format!("-seed={}", (bench.seed % u64::from(u32::MAX)).max(1)))
        .arg(format!("-timeout={SLOWEST}"))
        .arg(format!("-rss_limit_mb={MEMORY}"))
        .arg("-print_final_stats=1")
        .arg(format!("-artifact_prefix={}/{name}-", bench.record().display()))
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("running {}", target.display()))?;
    let told = String::from_utf8_lossy(&output.stderr);
    let log = bench.record().join(format!("{name}.log"));
    fs::write(&log, told.as_bytes()).with_context(|| format!("writing {}", log.display()))?;
    if !output.status.success() {
        let why = told
            .lines()
            .find(|line| line.contains("panicked at") || line.contains("ERROR: libFuzzer"))
            .unwrap_or("see its log");
        bail!("{name}, seed {}: {why} ({}; log and input kept)", bench.seed, output.status);
    }
    executed(&told).with_context(|| format!("{name} does not say what it did: {}", log.display()))
}

/// Reads `stat::number_of_executed_units: 1234`.
fn executed(told: &str) -> Option<u64> {
    told.lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"))?
        .trim()
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::executed;

    #[test]
    fn libfuzzers_count_is_understood() {
        assert_eq!(executed("x\nstat::number_of_executed_units: 1234\n"), Some(1234));
        assert_eq!(executed("stat::number_of_executed_units: many"), None);
    }
}
