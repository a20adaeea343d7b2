//! `./bastide clean`: removes what was built.

use std::path::Path;
use std::process::ExitCode;

use bastide_recipe::files::remove_tree;

use crate::context::Context;

/// Arguments of `clean`.
#[derive(clap::Args)]
pub struct Arguments {
    /// Also remove the outputs of build steps and the SDKs from the cache (a rebuild takes long)
    #[arg(long)]
    steps: bool,
    /// Also remove downloaded assets: the whole cache (needs the network again)
    #[arg(long)]
    assets: bool,
}

/// Removes `out/` and, as asked, parts of the cache. Keys are never removed.
///
/// # Errors
/// When a directory cannot be removed.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    remove(&context.out)?;
    if arguments.assets {
        remove(&context.cache)?;
    } else if arguments.steps {
        for part in ["steps", "sdk", "tmp"] {
            remove(&context.cache.join(part))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Removes a directory and all in it, read-only parts included; it need not exist.
///
/// # Errors
/// When something in it cannot be removed.
pub fn remove(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        remove_tree(path)?;
        println!("removed {}", path.display());
    }
    Ok(())
}
