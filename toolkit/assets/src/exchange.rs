//! One archive with everything an offline build needs.
//!
//! It is a plain tar: `bastide.lock`, `Cargo.lock` and `assets/<sha256>/<file>`,
//! whose content is compressed already. The `./bastide` script reads the crates
//! from it before there is any program of ours.

use std::fs;
use std::path::Path;

use bastide_recipe::files::Scratch;

use crate::crates;
use crate::lock::Lock;
use crate::store::Store;
use crate::{Error, Options, program};

/// What went into, or came out of, an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchanged {
    /// Debian packages.
    pub packages: usize,
    /// Crates.
    pub crates: usize,
    /// Together, in bytes.
    pub size: u64,
}

/// SHA-256 and file name of everything in the locks.
fn everything(options: &Options, lock: &Lock) -> Result<Vec<(String, String)>, Error> {
    let packages = lock
        .packages
        .iter()
        .map(|package| (package.sha256.clone(), package.file_name().to_owned()));
    let crates = crates::locked(&options.tree)?
        .into_iter()
        .map(|item| (item.sha256, item.file_name));
    let mut all = packages.chain(crates).collect::<Vec<_>>();
    all.sort();
    all.dedup();
    Ok(all)
}

/// Writes the archive.
pub(crate) fn export(
    options: &Options,
    store: &Store,
    lock: &Lock,
    archive: &Path,
) -> Result<Exchanged, Error> {
    let mut list = String::new();
    let mut missing = Vec::new();
    let mut exchanged = empty(lock);
    for (sha256, name) in everything(options, lock)? {
        match fs::metadata(store.path(&sha256, &name)) {
            Ok(file) => {
                list.push_str(&format!("assets/{sha256}/{name}\n"));
                exchanged.size += file.len();
                exchanged.crates += usize::from(name.ends_with(".crate"));
            }
            Err(_) => missing.push(name),
        }
    }
    if !missing.is_empty() {
        return Err(Error::Incomplete { names: missing });
    }
    let scratch = Scratch::new(&options.cache.join("tmp"), "export")?;
    let names = scratch.path().join("names");
    fs::write(&names, list).map_err(Error::file("write", &names))?;
    program::output("tar", "tar", |command| {
        command
            .args(["--create", "--format=gnu", "--sort=none"])
            .args([
                "--owner=0",
                "--group=0",
                "--numeric-owner",
                "--mode=u=rw,go=r",
            ])
            .args(["--mtime=@0", "--file"])
            .arg(archive)
            .arg("--directory")
            .arg(&options.tree)
            .args(["bastide.lock", "Cargo.lock", "--directory"])
            .arg(&options.cache)
            .arg("--verbatim-files-from")
            .arg("--files-from")
            .arg(&names)
    })?;
    Ok(exchanged)
}

/// Takes an archive in.
pub(crate) fn import(
    options: &Options,
    store: &Store,
    lock: &Lock,
    archive: &Path,
) -> Result<Exchanged, Error> {
    let scratch = Scratch::new(&options.cache.join("tmp"), "import")?;
    let unpacked = scratch.path().join("archive");
    fs::create_dir(&unpacked).map_err(Error::file("create", &unpacked))?;
    fs::metadata(archive).map_err(Error::file("read", archive))?;
    program::output("tar", "tar", |command| {
        command
            .args(["--extract", "--no-same-owner", "--no-same-permissions"])
            .args(["--delay-directory-restore", "--directory"])
            .arg(&unpacked)
            .arg("--file")
            .arg(archive)
            .arg("assets")
    })?;
    let mut missing = Vec::new();
    let mut exchanged = empty(lock);
    for (sha256, name) in everything(options, lock)? {
        let file = unpacked.join("assets").join(&sha256).join(&name);
        match fs::symlink_metadata(&file) {
            Ok(metadata) if metadata.is_file() => {
                store.accept(&file, &sha256, &name)?;
                exchanged.size += metadata.len();
                exchanged.crates += usize::from(name.ends_with(".crate"));
            }
            // Not in the archive, but here already: nothing is lacking.
            _ if store.path(&sha256, &name).exists() => {}
            _ => missing.push(name),
        }
    }
    if missing.is_empty() {
        Ok(exchanged)
    } else {
        Err(Error::Incomplete { names: missing })
    }
}

fn empty(lock: &Lock) -> Exchanged {
    Exchanged {
        packages: lock.packages.len(),
        crates: 0,
        size: 0,
    }
}
