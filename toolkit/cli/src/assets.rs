//! `./bastide assets`: what a build takes from outside.

use std::path::PathBuf;
use std::process::ExitCode;

use bastide_assets::{Assets, Exchanged, Options};

use crate::context::Context;

/// What to do with the assets.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Fetch everything that is locked, so that a later build needs no network
    Fetch {
        /// Refuse, rather than replace, a package version that is no longer served
        #[arg(long)]
        locked: bool,
    },
    /// Write everything that an offline build needs into one archive
    Export {
        /// The archive to write
        file: PathBuf,
    },
    /// Take in an archive made by export, checking every hash
    Import {
        /// The archive to read
        file: PathBuf,
    },
    /// Pin the newest packages anew in bastide.lock, checking archive signatures
    Relock,
}

/// Runs the subcommand.
///
/// # Errors
/// When an asset cannot be had or does not have the locked hash.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    crate::host::require_build(context.yes)?;
    let locked = matches!(arguments.action, Action::Fetch { locked: true });
    let assets = Assets::open(Options {
        tree: context.tree.clone(),
        cache: context.cache.clone(),
        mirror: context.mirror.clone(),
        locked,
    })?;
    match &arguments.action {
        Action::Fetch { .. } => {
            let count = assets.fetch()?;
            println!("{count} packages are in {}", context.cache.display());
        }
        Action::Export { file } => report("written to", file, assets.export(file)?),
        Action::Import { file } => report("taken from", file, assets.import(file)?),
        Action::Relock => {
            let changes = assets.relock()?;
            for title in &changes.removed {
                println!("- {title}");
            }
            for title in &changes.added {
                println!("+ {title}");
            }
            println!("{} packages are locked", assets.lock().packages.len());
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn report(verb: &str, file: &std::path::Path, exchanged: Exchanged) {
    println!(
        "{} packages and {} crates, {} MB, {verb} {}",
        exchanged.packages,
        exchanged.crates,
        exchanged.size / 1_000_000,
        file.display()
    );
}
