//! The scenarios as a program; `./bastide test` builds the image and calls it.
#![forbid(unsafe_code)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, ensure};
use bastide_scenarios::bench::Places;
use bastide_scenarios::runner::{Plan, run};
use bastide_scenarios::scenario::{Class, Scenario};
use bastide_scenarios::scenarios::ALL;
use bastide_vm::{AcceleratorChoice, choose_accelerator};
use clap::{Parser, ValueEnum};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Accel {
    Auto,
    Kvm,
    Tcg,
}

/// Attacks an image in virtual machines.
#[derive(Debug, Parser)]
#[command(name = "bastide-scenarios", max_term_width = 100)]
struct Arguments {
    /// Only scenarios whose name contains one of these
    names: Vec<String>,
    /// List the scenarios and their claims
    #[arg(long)]
    list: bool,
    /// Only what needs no virtual machine
    #[arg(long, conflicts_with = "long")]
    quick: bool,
    /// Counter-proofs and campaigns as well
    #[arg(long)]
    long: bool,
    /// What the build made: out/<product>
    #[arg(long, required_unless_present = "list")]
    images: Option<PathBuf>,
    /// What the step of the attacker's materials made
    #[arg(long, required_unless_present = "list")]
    materials: Option<PathBuf>,
    /// What the build of the later release made: out/later
    #[arg(long)]
    later: Option<PathBuf>,
    /// What the build of the later release with hostile services made: out/trial
    #[arg(long)]
    trial: Option<PathBuf>,
    /// The rescue machine's disk
    #[arg(long)]
    rescue: Option<PathBuf>,
    /// The owner's keys, of which only certificates are read
    #[arg(long, required_unless_present = "list")]
    keys: Option<PathBuf>,
    /// The fuzz targets as programs, for the campaign that runs them
    #[arg(long)]
    fuzzers: Option<PathBuf>,
    /// Where failures leave their records and campaigns their reports
    #[arg(long, required_unless_present = "list")]
    reports: Option<PathBuf>,
    /// How QEMU runs
    #[arg(long, value_enum, default_value = "auto")]
    accel: Accel,
    /// How many scenarios at once
    #[arg(long, default_value_t = 1)]
    jobs: usize,
    /// Minutes that each campaign lasts
    #[arg(long, default_value_t = 20)]
    minutes: u64,
    /// Where the campaigns' random choices start
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Results of earlier tests, to be part of the last line
    #[arg(long, default_value_t = 0, hide = true)]
    passed_before: usize,
    /// Results of earlier tests, to be part of the last line
    #[arg(long, default_value_t = 0, hide = true)]
    failed_before: usize,
}

fn main() -> ExitCode {
    match work(Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bastide test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn work(arguments: Arguments) -> Result<ExitCode> {
    let chosen = choose(&arguments)?;
    if arguments.list {
        for scenario in chosen {
            println!(
                "{:<44} {:<8} {}",
                scenario.name,
                scenario.class.word(),
                scenario.claim
            );
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (Some(images), Some(materials), Some(keys), Some(reports)) = (
        arguments.images,
        arguments.materials,
        arguments.keys,
        arguments.reports,
    ) else {
        anyhow::bail!("--images, --materials, --keys and --reports are needed");
    };
    let choice = match arguments.accel {
        Accel::Auto => AcceleratorChoice::Auto,
        Accel::Kvm => AcceleratorChoice::Kvm,
        Accel::Tcg => AcceleratorChoice::Tcg,
    };
    let plan = Plan {
        places: Places {
            images,
            materials,
            later: arguments.later,
            trial: arguments.trial,
            rescue: arguments.rescue,
            keys,
            fuzzers: arguments.fuzzers,
            reports,
        },
        accelerator: choose_accelerator(choice)?,
        jobs: arguments.jobs,
        campaign: Duration::from_secs(arguments.minutes * 60),
        seed: arguments.seed,
    };
    let tally = run(&chosen, &plan)?;
    let failed = tally.failed + arguments.failed_before;
    println!(
        "{} passed, {failed} failed",
        tally.passed + arguments.passed_before
    );
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Names choose from all classes; without names the class decides.
fn choose(arguments: &Arguments) -> Result<Vec<Scenario>> {
    let by_class = |scenario: &Scenario| {
        arguments.list
            || match scenario.class {
                Class::Quick => true,
                Class::Default => !arguments.quick,
                Class::Long => arguments.long,
            }
    };
    let by_name = |scenario: &Scenario| {
        arguments
            .names
            .iter()
            .any(|name| scenario.name.contains(name.as_str()))
    };
    let chosen: Vec<Scenario> = ALL
        .iter()
        .filter(|scenario| {
            if arguments.names.is_empty() {
                by_class(scenario)
            } else {
                by_name(scenario)
            }
        })
        .copied()
        .collect();
    ensure!(
        !chosen.is_empty(),
        "no scenario is called like {}; --list shows all",
        arguments.names.join(", ")
    );
    Ok(chosen)
}
