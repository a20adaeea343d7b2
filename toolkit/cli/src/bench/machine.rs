//! The machines that are measured.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bastide_vm::{Accelerator, Configuration, Disk, Firmware, Machine, signs, sparse_copy};

use crate::context::Context;

/// How long a first boot may take, which makes the state.
const FIRST_BOOT: Duration = Duration::from_secs(900);

/// How long the machine may take to answer or to go off.
const PATIENCE: Duration = Duration::from_secs(120);

/// A machine with the owner's keys and no disk.
pub fn bare(built: &Path, accelerator: Accelerator) -> Configuration {
    let firmware = Firmware {
        code: built.join("OVMF_CODE.fd"),
        variables: built.join("OVMF_VARS.fd"),
    };
    Configuration::new("bench", firmware, accelerator)
}

/// An empty directory in `out/`.
///
/// # Errors
/// When it cannot be emptied or made.
pub fn place(context: &Context, name: &str) -> anyhow::Result<PathBuf> {
    let place = context.out.join(name);
    crate::clean::remove(&place)?;
    fs::create_dir_all(&place).with_context(|| format!("making {}", place.display()))?;
    Ok(place)
}

/// A machine with a disk of its own that has had its first boot.
///
/// # Errors
/// When that boot fails.
pub fn provisioned(
    context: &Context,
    built: &Path,
    accelerator: Accelerator,
) -> anyhow::Result<Configuration> {
    let place = place(context, "bench-machine")?;
    let disk = place.join("disk.img");
    sparse_copy(&built.join("disk.img"), &disk)?;
    let mut machine = bare(built, accelerator).disk(Disk::Own(disk));
    machine.state = Some(place.clone());
    machine.record = Some(place);
    eprintln!("first boot: the state is made");
    let mut running = Machine::start(&machine)?;
    let ready = running
        .console()
        .expect_any(&[signs::PAGE], signs::NO_PAGE, FIRST_BOOT)
        .context("the first boot")?;
    eprintln!("first boot: ready after {:.1} s", ready.at.as_secs_f64());
    power_off(&mut running)?;
    Ok(machine)
}

/// Powers the machine off at its console.
///
/// # Errors
/// When it does not go off.
pub fn power_off(running: &mut Machine) -> anyhow::Result<()> {
    let console = running.console();
    console.forget();
    console.send("p")?;
    console.expect("y: yes", PATIENCE)?;
    console.send("y")?;
    let status = running.wait_off(PATIENCE)?;
    ensure!(status.success(), "QEMU did not end well: {status}");
    Ok(())
}
