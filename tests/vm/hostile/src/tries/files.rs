//! Files that are none of the service's business.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

/// Changes a program of the Core.
pub fn write_core() -> Result<()> {
    File::options()
        .write(true)
        .open("/usr/lib/bastide/init")?
        .write_all(b"#!")?;
    Ok(())
}

/// Puts a program beside those of the Core.
pub fn write_new_program() -> Result<()> {
    create(Path::new("/usr/lib/bastide/evil"))
}

/// Writes to the root directory.
pub fn write_root() -> Result<()> {
    create(Path::new("/evil"))
}

/// Writes where sockets and boot facts lie.
pub fn write_run() -> Result<()> {
    create(Path::new("/run/evil"))
}

/// Makes a file in a directory.
pub fn write_into(directory: &str) -> Result<()> {
    let file = Path::new(directory).join("evil");
    create(&file)?;
    Ok(fs::remove_file(file)?)
}

fn create(path: &Path) -> Result<()> {
    File::create(path)?.write_all(b"evil")?;
    Ok(())
}

/// Runs a program that it wrote itself.
pub fn run_from_temporary() -> Result<()> {
    let program = Path::new("/tmp/evil");
    let mut bytes = Vec::new();
    File::open("/usr/lib/bastide/hostile")?.read_to_end(&mut bytes)?;
    File::create(program)?.write_all(&bytes)?;
    fs::set_permissions(program, fs::Permissions::from_mode(0o755))?;
    Command::new(program).arg("usage").status()?;
    Ok(())
}

/// Changes a setting of the kernel.
pub fn settings() -> Result<()> {
    File::options()
        .write(true)
        .open("/proc/sys/kernel/panic")?
        .write_all(b"0")?;
    Ok(())
}

/// Reads a file.
pub fn read(path: &str) -> Result<()> {
    let mut byte = [0];
    File::open(path)?.read_exact(&mut byte)?;
    Ok(())
}

/// Lists a directory.
pub fn list(path: &str) -> Result<()> {
    match fs::read_dir(path)?.next() {
        Some(entry) => {
            entry?;
            Ok(())
        }
        // An empty place where others have something is a refusal too.
        None => bail!(std::io::Error::from_raw_os_error(
            nix::errno::Errno::ENOENT as i32
        )),
    }
}

/// Fills its own state beyond what it was granted, which its definition says is 8 MiB.
pub fn fill_state() -> Result<()> {
    const CHUNK: usize = 1 << 20;
    const FAR_BEYOND: usize = 64;
    let directory =
        std::env::var("STATE_DIRECTORY").unwrap_or_else(|_| "/var/lib/hostile-filler".to_owned());
    let path = Path::new(&directory).join("filling");
    let mut file = File::create(&path)?;
    let filled = (0..FAR_BEYOND).try_for_each(|_| file.write_all(&[0xa5; CHUNK]));
    let filled = filled.and_then(|()| file.sync_all());
    println!("{} MiB written", file.metadata()?.len() >> 20);
    fs::remove_file(&path)?;
    Ok(filled?)
}
