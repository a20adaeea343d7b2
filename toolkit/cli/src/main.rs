//! The `./bastide` command: builds, runs, tests and checks Bastide.
//!
//! Trust boundary: runs as the developer, on the build machine. It reads the tree and the cache,
//! writes only below `out/`, the cache and (for `keys init`) the key directory. Whatever executes
//! third-party code does so inside the SDK sandbox of `bastide-recipe`.
//!
//! This never signs with a key it made silently for somebody else's product: the development key
//! set is one per user, lives outside the checkout and is announced when it is made.
#![forbid(unsafe_code)]

mod assets;
mod bench;
mod book;
mod build;
mod check;
mod clean;
mod context;
mod exposure;
mod fuzz;
mod graph;
mod host;
mod keys;
mod log;
mod manual;
mod print;
mod publish;
mod reproduce;
mod rescue;
mod run;
mod test;
mod tools;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use context::Context;

/// Builds, runs, tests and checks Bastide.
#[derive(Parser)]
#[command(name = "bastide", bin_name = "bastide", version, max_term_width = 100)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options every subcommand takes.
#[derive(clap::Args)]
struct Global {
    /// Answer yes to every question (a root without a terminal is not asked anyway)
    #[arg(long, global = true)]
    yes: bool,
    /// Where built products go [default: out/ in the checkout]
    #[arg(long, global = true, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Directory of the owner's keys [default: $XDG_DATA_HOME/bastide/keys]
    #[arg(long, global = true, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// Debian mirror to fetch from [default: the one in the host's apt configuration]
    #[arg(long, global = true, value_name = "URL")]
    mirror: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Fetch, export, import or pin what a build takes from outside
    Assets(assets::Arguments),
    /// Print figures beside their aims: boot times, build times, sizes
    Bench(bench::Arguments),
    /// Build a product into `out/`, in a directory of its name
    Build(build::Arguments),
    /// Check formatting, lints, the arrows between rooms, dependencies, licences and docs
    Check(check::Arguments),
    /// Remove what was built (the cache of assets and keys stays unless asked)
    Clean(clean::Arguments),
    /// Print how exposed each service is, beside the items of `systemd-analyze security`
    Exposure(exposure::Arguments),
    /// Show who may call whom and what each service may touch, as text, JSON or a picture
    Graph(graph::Arguments),
    /// Make the owner's keys, or show their fingerprints
    Keys(keys::Arguments),
    /// Verify the log of a machine on another one
    Log(log::Arguments),
    /// Shell completion and man pages
    Manual(manual::Arguments),
    /// Build twice under different circumstances and compare every artefact
    Reproduce(reproduce::Arguments),
    /// Build what changed and boot the disk on this terminal
    Run(run::Arguments),
    /// Run the unit tests and attack the disk in virtual machines
    Test(test::Arguments),
}

/// The first argument with which the engine starts this program again, as the
/// helper that enters a step's sandbox; no command for people.
const SANDBOX: &str = "__sandbox";

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == SANDBOX)
        && let Some(spec) = arguments.next()
    {
        return bastide_recipe::sandbox::enter(Path::new(&spec));
    }
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_env("BASTIDE_LOG")
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .init();
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("bastide: {error:#}");
            // 128 + SIGINT, as shells do.
            ExitCode::from(if bastide_recipe::interrupt::received() {
                130
            } else {
                1
            })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let context = Context::new(&cli.global)?;
    match &cli.command {
        Command::Assets(arguments) => assets::run(arguments, &context),
        Command::Bench(arguments) => bench::run(arguments, &context),
        Command::Build(arguments) => build::run(arguments, &context),
        Command::Check(arguments) => check::run(arguments, &context),
        Command::Clean(arguments) => clean::run(arguments, &context),
        Command::Exposure(arguments) => exposure::run(arguments, &context),
        Command::Graph(arguments) => graph::run(arguments, &context),
        Command::Keys(arguments) => keys::run(arguments, &context),
        Command::Log(arguments) => log::run(arguments),
        Command::Manual(arguments) => manual::run(arguments),
        Command::Reproduce(arguments) => reproduce::run(arguments, &context),
        Command::Run(arguments) => run::run(arguments, &context),
        Command::Test(arguments) => test::run(arguments, &context),
    }
}
