//! `./bastide bench`: figures beside their aims. It prints and judges nothing.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use bastide_vm::{Accelerator, BootTimes, Configuration, Disk, Machine, Milestone, signs};
use serde_json::Value;

use crate::build::{self, Options};
use crate::context::Context;
use crate::host;
use crate::publish;
use crate::rescue;
use crate::run::Accel;

mod log;
mod machine;
mod memory;
mod state;

/// Arguments of `bench`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(clap::Subcommand)]
enum What {
    /// Boot times, side by side with a minimal Debian on the same kernel
    Boot {
        /// How many boots of each
        #[arg(long, default_value_t = 3)]
        runs: usize,
        /// The product that is booted
        #[arg(long, default_value = "demo")]
        product: String,
        /// How QEMU runs
        #[arg(long, value_enum, default_value = "auto")]
        accel: Accel,
    },
    /// Authenticated encryption of the state: the choices there are, side by side
    State {
        #[command(flatten)]
        on: On,
    },
    /// Lines that the log takes in, beside a sealed journal
    Log {
        #[command(flatten)]
        on: On,
    },
    /// Memory of the idle Core
    Memory {
        #[command(flatten)]
        on: On,
    },
    /// Build times, memory, sizes
    Build {
        /// The product that is built
        #[arg(long, default_value = "demo")]
        product: String,
    },
}

/// What is measured, and how it runs.
#[derive(clap::Args)]
struct On {
    /// The product whose kernel or Core is measured
    #[arg(long, default_value = "demo")]
    product: String,
    /// How QEMU runs
    #[arg(long, value_enum, default_value = "auto")]
    accel: Accel,
}

/// Measures.
///
/// # Errors
/// When something cannot be built or booted.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    match &arguments.what {
        What::Boot {
            runs,
            product,
            accel,
        } => boot(context, product, (*runs).max(1), accel.choose()?)?,
        What::State { on } => state::measure(context, &on.product, on.accel.choose()?)?,
        What::Log { on } => log::measure(context, &on.product, on.accel.choose()?)?,
        What::Memory { on } => memory::measure(context, &on.product, on.accel.choose()?)?,
        What::Build { product } => measure_build(context, product)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// How long a boot may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// One of the two systems compared.
struct System {
    name: &'static str,
    machine: Configuration,
    /// How it goes off, so that it can be switched on again.
    keeps: bool,
    /// What shows that it is ready.
    ready: &'static str,
    /// Its first process, as the console shows it.
    first_process: Milestone,
    times: Vec<BootTimes>,
}

fn boot(
    context: &Context,
    product: &str,
    runs: usize,
    accelerator: Accelerator,
) -> anyhow::Result<()> {
    host::require(&[host::RUN], context.yes)?;
    let options = Options::default();
    let built = build::build_product(context, product, &options)?.directory;
    let assets = build::assets(context, false)?;
    let engine = build::engine(context, &assets, &options);
    let peer_disk = rescue::peer_disk(&engine, context, &built)?;
    let peer = machine::bare(&built, accelerator).disk(Disk::Image(peer_disk));
    let mut systems = [
        System {
            name: "Bastide",
            machine: machine::provisioned(context, &built, accelerator)?,
            keeps: true,
            ready: signs::PAGE,
            first_process: Milestone::Initramfs,
            times: Vec::new(),
        },
        System {
            name: "Debian + systemd",
            machine: peer,
            keeps: false,
            ready: signs::LOGIN,
            first_process: Milestone::Init,
            times: Vec::new(),
        },
    ];
    // In turns, so that a busy spell of this machine hits both.
    for round in 1..=runs {
        for system in &mut systems {
            eprintln!("boot {round} of {runs}: {}", system.name);
            let mut running = Machine::start(&system.machine)?;
            let console = running.console();
            console
                .expect_any(&[system.ready], signs::NO_PAGE, PATIENCE)
                .with_context(|| format!("booting {}", system.name))?;
            system.times.push(running.boot_times());
            if system.keeps {
                machine::power_off(&mut running)?;
            }
        }
    }
    print_boot(&systems, accelerator, runs);
    Ok(())
}

fn print_boot(systems: &[System; 2], accelerator: Accelerator, runs: usize) {
    println!("{accelerator:?}, 2 processors, 1 GiB; seconds, median of {runs}");
    println!(
        "{:<34} {:>10} {:>18} {:>7}",
        "", systems[0].name, systems[1].name, "ratio"
    );
    let line =
        |label: &str, measure: &dyn Fn(&System, &BootTimes) -> Option<Duration>, aim: &str| {
            let [ours, theirs] = [0, 1].map(|index: usize| {
                let system = &systems[index];
                median(
                    system
                        .times
                        .iter()
                        .filter_map(|times| measure(system, times))
                        .collect(),
                )
            });
            let ratio = match (ours, theirs) {
                (Some(ours), Some(theirs)) if theirs > 0.0 => format!("{:.2}", ours / theirs),
                _ => "-".to_owned(),
            };
            let shown = |value: Option<f64>| {
                value.map_or_else(|| "-".to_owned(), |value| format!("{value:.2}"))
            };
            println!(
                "{label:<34} {:>10} {:>18} {ratio:>7}  {aim}",
                shown(ours),
                shown(theirs)
            );
        };
    line(
        "power-on to ready",
        &|_, times| times.at(Milestone::Ready),
        "",
    );
    line(
        "power-on to boot loader",
        &|_, times| times.at(Milestone::BootLoader),
        "",
    );
    line(
        "boot loader to kernel",
        &|_, times| times.between(Milestone::BootLoader, Milestone::Kernel),
        "",
    );
    line(
        "kernel to first process",
        &|system, times| times.between(Milestone::Kernel, system.first_process),
        "",
    );
    line(
        "first process to ready",
        &|system, times| times.between(system.first_process, Milestone::Ready),
        "aim: ratio at most 0.15",
    );
    line(
        "  first process to state opened",
        &|_, times| times.between(Milestone::Initramfs, Milestone::StateOpened),
        "",
    );
    line(
        "kernel to state opened",
        &|_, times| times.between(Milestone::Kernel, Milestone::StateOpened),
        "",
    );
    line(
        "kernel to ready",
        &|_, times| times.between(Milestone::Kernel, Milestone::Ready),
        "",
    );
    if let Some(last) = systems[0].times.last() {
        println!("\nour last boot, step by step:\n{last}");
    }
    println!(
        "first process: the initramfs here, systemd's welcome there (it has no initramfs); \
         ready: the status page, the login prompt"
    );
}

fn median(mut values: Vec<Duration>) -> Option<f64> {
    values.sort_unstable();
    values.get(values.len() / 2).map(Duration::as_secs_f64)
}

fn measure_build(context: &Context, product: &str) -> anyhow::Result<()> {
    let options = Options::default();
    let built = build::build_product(context, product, &options)?.directory;
    let started = Instant::now();
    build::build_product(context, product, &options)?;
    let unchanged = started.elapsed();

    let record = publish::record(&built).context("the build left no build.json")?;
    let memory = record
        .steps
        .iter()
        .map(|step| step.peak_memory)
        .max()
        .unwrap_or_default();
    let core = fs::metadata(built.join("core.img"))
        .context("looking at core.img")?
        .len();
    let changed = changed_program(context, product, &options)?;

    println!(
        "{:<44} {:>10.2} s",
        "build with nothing changed",
        unchanged.as_secs_f64()
    );
    println!(
        "{:<44} {:>10.2} s    aim: under 90 s",
        "changed Rust file to bootable disk",
        changed.as_secs_f64()
    );
    println!(
        "{:<44} {:>10.2} GiB  aim: below 8 GiB",
        "most memory of a step",
        gibibytes(memory)
    );
    println!(
        "{:<44} {:>10.1} MiB  aim: at most 40 MiB",
        "Core image",
        gibibytes(core) * 1024.0
    );
    let (files, elf) = files(&built.join("hardening.json"))?;
    println!("{:<44} {files:>10}", "files in the Core");
    println!("{:<44} {elf:>10}", "ELF files in the Core, modules aside");
    for step in &record.steps {
        println!(
            "  step {:<37} {:>10.1} s {:>8.2} GiB",
            step.name,
            step.seconds,
            gibibytes(step.peak_memory)
        );
    }
    Ok(())
}

#[expect(
    clippy::cast_precision_loss,
    reason = "figures for people, far below 2^53"
)]
fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// How many files the Core has, and how many of them are programs and libraries.
fn files(verdict: &Path) -> anyhow::Result<(u64, usize)> {
    let text = fs::read(verdict).with_context(|| format!("reading {}", verdict.display()))?;
    let value: Value = serde_json::from_slice(&text)
        .with_context(|| format!("{} is no JSON", verdict.display()))?;
    let files = value["files"].as_u64();
    let elf = value["elf"].as_object().map(serde_json::Map::len);
    files
        .zip(elf)
        .with_context(|| format!("{} lacks `files` or `elf`", verdict.display()))
}

/// Builds a copy of the checkout with one source of the status page changed: the
/// checkout itself stays as it is.
fn changed_program(
    context: &Context,
    product: &str,
    options: &Options,
) -> anyhow::Result<Duration> {
    let copy = context.out.join("bench");
    crate::clean::remove(&copy)?;
    let tree = copy.join("tree");
    fs::create_dir_all(&tree).with_context(|| format!("making {}", tree.display()))?;
    let status = Command::new("sh")
        .args([
            "-c",
            r#"cd "$0" && git ls-files -z --cached --others --exclude-standard |
                tar -c --null --files-from=- --ignore-failed-read | tar -x -C "$1""#,
        ])
        .arg(&context.tree)
        .arg(&tree)
        .status()
        .context("copying the checkout")?;
    ensure!(status.success(), "the checkout could not be copied");
    let source = tree.join("core/console/src/main.rs");
    let text =
        fs::read_to_string(&source).with_context(|| format!("reading {}", source.display()))?;
    let stamp = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .context("the clock is before 1970")?;
    // A new line moves all that follow, and with them the places named in panics.
    fs::write(&source, format!("// {}\n{text}", stamp.as_nanos()))
        .with_context(|| format!("writing {}", source.display()))?;
    let changed = Context {
        tree,
        out: copy.join("out"),
        ..context.clone()
    };
    let started = Instant::now();
    build::build_product(&changed, product, options)?;
    let elapsed = started.elapsed();
    crate::clean::remove(&copy)?;
    Ok(elapsed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        let seconds = |list: &[u64]| list.iter().map(|it| Duration::from_secs(*it)).collect();
        assert_eq!(median(seconds(&[9, 1, 5])), Some(5.0));
        assert_eq!(median(seconds(&[])), None);
    }

    #[test]
    fn files_are_counted_as_the_verdict_tells() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("hardening.json");
        fs::write(&file, r#"{"files": 30, "elf": {"a": {}, "b": {}}}"#).unwrap();
        assert_eq!(files(&file).unwrap(), (30, 2));
        fs::write(&file, r#"{"files": 30}"#).unwrap();
        assert!(files(&file).is_err());
    }
}
