//! Three attempts: keys hammered on both keyboards during boot as shipped; a loader.conf
//! that opens menu and editor; a boot entry with a command line of its own, and
//! unsigned add-ons beside the bundle.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bastide_vm::signs::KERNEL_RUNS;
use bastide_vm::{ExpectError, Machine};

use crate::bench::{Bench, PATIENCE, start};
use crate::disk_copy::DiskCopy;
use crate::page::expect_up;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "command_line_cannot_be_edited",
    claim: "Nothing typed at the boot menu and nothing written to the boot partition changes the command \
            line.",
    class: Class::Default,
    run,
};

/// What the attacker wants the kernel to be told.
const WORDS: &str = "init=/bin/sh";

/// What systemd-boot counts down with.
const MENU: &str = "Boot in ";

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    // The initramfs compares the command line with the signed one, so that a status
    // page means that they are the same.
    let mut shipped = start(&bench.provisioned_machine("shipped")?)?;
    hammer(&mut shipped)?;
    expect_up(&shipped, &root_hash).context("after keys were hammered during boot")?;
    drop(shipped);

    let opened = bench.own_copy("opened")?;
    opened
        .open_disk()?
        .write_boot_file("loader/loader.conf", b"timeout 60\neditor yes\n")?;
    let machine = start(&opened.inhabit(bench.machine("opened")))?;
    let console = machine.console();
    console.expect(MENU, PATIENCE).context("the attacker's menu did not open")?;
    console.send("e")?;
    console
        .expect("Entry not editable in SecureBoot mode", PATIENCE)
        .context("the editor was not refused")?;
    console.send(&format!(" {WORDS}\r"))?;
    console.send("\r")?;
    expect_up(&machine, &root_hash).context("after the editor was refused")?;
    drop(machine);

    let entry = bench.own_copy("entry")?;
    add_entry(&entry.open_disk()?, &bench.material("unsigned-addon.efi")?)?;
    let machine = start(&entry.inhabit(bench.machine("entry")))?;
    expect_up(&machine, &root_hash).context("with the attacker's boot entry and add-ons")?;
    Ok(())
}

/// Makes the default boot entry one that starts the bundle with the attacker's words,
/// and lays an add-on with the same words wherever the bundle looks for them.
pub fn add_entry(disk: &DiskCopy, addon: &[u8]) -> Result<()> {
    let bundle = disk.bundle_path()?;
    // Where it is obeyed it replaces all words: without a console nothing would be seen.
    let entry = format!("title Bastide\nefi /{bundle}\noptions {WORDS} console=ttyS0,115200\n");
    disk.write_boot_file("loader/entries/attack.conf", entry.as_bytes())?;
    disk.write_boot_file("loader/loader.conf", b"default attack.conf\ntimeout 0\n")?;
    disk.write_boot_file(&format!("{bundle}.extra.d/attack.addon.efi"), addon)?;
    disk.write_boot_file("loader/addons/attack.addon.efi", addon)
}

/// Presses the keys that open systemd-boot's menu and editor, on the serial line and
/// on the keyboard, until the kernel runs.
fn hammer(machine: &mut Machine) -> Result<()> {
    for round in 0..2_000 {
        match machine.console().expect_any(KERNEL_RUNS, &[], Duration::from_millis(100)) {
            Ok(_) => {
                ensure!(round > 10, "the kernel ran before a key could be pressed");
                return Ok(());
            }
            Err(ExpectError::Silent { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if machine.console().text().contains("BdsDxe: starting") {
            // In case a menu did open: edit, append, boot.
            machine.console().send(&format!(" e {WORDS}\r"))?;
            for key in ["spc", "e", "ret"] {
                machine.monitor().press_keys(&[key])?;
            }
        } else {
            machine.console().send(" ")?;
            machine.monitor().press_keys(&["spc"])?;
        }
    }
    bail!("the kernel was not started while keys were pressed")
}
