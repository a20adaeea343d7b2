//! `./bastide run`: builds what changed and boots the disk on this terminal.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bastide_vm::{
    Accelerator, AcceleratorChoice, Configuration, Disk, Firmware, Machine, Serial,
    choose_accelerator, signs, sparse_copy,
};
use clap::ValueEnum;

use crate::build::{self, Options};
use crate::context::Context;
use crate::host;

/// How long a machine may take to come up, which at the first boot includes making its
/// state, or to go off.
const PATIENCE: Duration = Duration::from_secs(900);

/// What QEMU runs with, as people ask for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Accel {
    /// KVM where it works, else TCG
    #[default]
    Auto,
    /// Hardware virtualisation, or an error
    Kvm,
    /// Translation, which always works
    Tcg,
}

impl Accel {
    /// What will be used on this machine.
    ///
    /// # Errors
    /// When KVM is asked for and cannot be had.
    pub fn choose(self) -> anyhow::Result<Accelerator> {
        Ok(choose_accelerator(match self {
            Self::Auto => AcceleratorChoice::Auto,
            Self::Kvm => AcceleratorChoice::Kvm,
            Self::Tcg => AcceleratorChoice::Tcg,
        })?)
    }
}

/// Arguments of `run`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The product to boot
    #[arg(long, default_value = "demo")]
    product: String,
    /// How QEMU runs
    #[arg(long, value_enum, default_value = "auto")]
    accel: Accel,
    /// Start with a new disk, variable store and TPM
    #[arg(long)]
    fresh: bool,
    /// Boot without a person: wait for the status page, print the times, power off
    #[arg(long)]
    until_ready: bool,
    /// Refuse, rather than replace, a package version that is no longer served
    #[arg(long)]
    locked: bool,
}

/// Builds and boots.
///
/// # Errors
/// When the host lacks something, the build fails or the machine does not start.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    host::require(&[host::RUN], context.yes)?;
    let accelerator = arguments.accel.choose()?;
    let options = Options {
        locked: arguments.locked,
        ..Options::default()
    };
    let built = build::build_product(context, &arguments.product, &options)?;
    let place = built.directory.join("machine");
    let disk = prepare(&built.directory, &place, arguments.fresh)?;
    let firmware = Firmware {
        code: built.directory.join("OVMF_CODE.fd"),
        variables: built.directory.join("OVMF_VARS.fd"),
    };
    let mut machine =
        Configuration::new(&arguments.product, firmware, accelerator).disk(Disk::Own(disk));
    machine.state = Some(place.clone());
    machine.record = Some(place);
    eprintln!(
        "bastide: booting {} {}",
        arguments.product,
        built.product.display_version()
    );
    if arguments.until_ready {
        until_ready(&machine)
    } else {
        on_terminal(machine)
    }
}

/// Makes the machine's own disk, unless it is there and still belongs to the image.
fn prepare(built: &Path, place: &Path, fresh: bool) -> anyhow::Result<PathBuf> {
    let image = built.join("disk.img");
    let disk = place.join("disk.img");
    let stamp = place.join("image");
    let identity = identity(&image)?;
    let known = fs::read_to_string(&stamp).ok();
    let same = known.as_deref() == Some(&identity);
    if same && !fresh && disk.is_file() {
        return Ok(disk);
    }
    if known.is_some() && !fresh {
        eprintln!(
            "bastide: disk.img changed: the machine starts with a new disk, variable store and TPM"
        );
    }
    if place.exists() {
        fs::remove_dir_all(place).with_context(|| format!("removing {}", place.display()))?;
    }
    fs::create_dir_all(place).with_context(|| format!("making {}", place.display()))?;
    sparse_copy(&image, &disk)?;
    fs::write(&stamp, identity).with_context(|| format!("writing {}", stamp.display()))?;
    Ok(disk)
}

/// What tells one image file from the next: a machine goes on with the image it began with.
fn identity(image: &Path) -> anyhow::Result<String> {
    let data = fs::metadata(image).with_context(|| format!("looking at {}", image.display()))?;
    Ok(format!(
        "{} {} {} {}.{}\n",
        data.dev(),
        data.ino(),
        data.len(),
        data.mtime(),
        data.mtime_nsec()
    ))
}

/// A person sits at the terminal.
fn on_terminal(mut machine: Configuration) -> anyhow::Result<ExitCode> {
    machine.serial = Serial::Terminal;
    eprintln!(
        "bastide: this terminal is the machine's serial console. To leave: p on the status page \
         powers off;\n         Ctrl-A then X cuts the power at any time; Ctrl-A then H shows more."
    );
    if machine.accelerator == Accelerator::Tcg {
        eprintln!("bastide: without KVM the firmware needs some seconds before its first word");
    }
    let mut running = Machine::start(&machine)?;
    let status = running.wait()?;
    eprintln!("bastide: the machine is off");
    if status.success() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!(
        "QEMU ended with {status}; what it said is in {}:\n{}",
        running.record().join("qemu.log").display(),
        running.complaints().trim()
    )
}

/// Nobody does: wait, measure, power off.
fn until_ready(machine: &Configuration) -> anyhow::Result<ExitCode> {
    let mut running = Machine::start(machine)?;
    let log = running.record().join("serial.log");
    let shown = watch(&mut running)
        .with_context(|| format!("the whole console is in {}", log.display()))?;
    print!("{}", running.boot_times());
    println!("{shown}; powered off");
    Ok(ExitCode::SUCCESS)
}

/// Waits for the page or a login prompt, then powers off as its user would.
fn watch(running: &mut Machine) -> anyhow::Result<&'static str> {
    let console = running.console();
    let seen = console.expect_any(&[signs::PAGE, signs::LOGIN], signs::NO_PAGE, PATIENCE)?;
    if seen.index == 0 {
        console.forget();
        console.send("p")?;
        console.expect("y: yes", PATIENCE)?;
        console.send("y")?;
    } else {
        running.monitor().press_power()?;
    }
    running.wait_off(PATIENCE)?;
    Ok(["the status page came", "the login prompt came"][seen.index])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_image_under_the_same_name_is_noticed() {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("disk.img");
        fs::write(&image, "one").unwrap();
        let first = identity(&image).unwrap();
        assert_eq!(identity(&image).unwrap(), first);
        fs::rename(&image, place.path().join("old")).unwrap();
        fs::write(&image, "two").unwrap();
        assert_ne!(identity(&image).unwrap(), first);
    }
}
