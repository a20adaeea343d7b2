//! `./bastide clean`: removes what was built.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;

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
    if !path.exists() {
        return Ok(());
    }
    make_writable(path)?;
    std::fs::remove_dir_all(path).with_context(|| format!("removing {}", path.display()))?;
    println!("removed {}", path.display());
    Ok(())
}

/// Step outputs are kept read-only, which also keeps an ordinary user from removing them.
fn make_writable(path: &Path) -> anyhow::Result<()> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
    };
    if !metadata.is_dir() {
        return Ok(());
    }
    let mut permissions = metadata.permissions();
    permissions.set_mode(permissions.mode() | 0o700);
    std::fs::set_permissions(path, permissions)
        .with_context(|| format!("making {} writable", path.display()))?;
    for entry in std::fs::read_dir(path).with_context(|| format!("reading {}", path.display()))? {
        make_writable(&entry?.path())?;
    }
    Ok(())
}
