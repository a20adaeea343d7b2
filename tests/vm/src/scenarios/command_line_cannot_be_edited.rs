//! At the boot menu, first as shipped with keys hammered on both keyboards, then with
//! a loader.conf that the attacker has rewritten to open menu and editor.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bastide_vm::{ExpectError, Machine};

use crate::bench::{Bench, PATIENCE, start};
use crate::page::expect_up;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "command_line_cannot_be_edited",
    claim: "Nothing typed at the boot menu changes the command line, not even in an editor that an \
            attacker opened by rewriting loader.conf.",
    class: Class::Default,
    run,
};

const WORDS: &str = " init=/bin/sh";

/// What systemd-boot counts down with.
const MENU: &str = "Boot in ";

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    let mut shipped = start(&bench.machine("shipped").disk(bench.shipped_disk()))?;
    hammer(&mut shipped)?;
    // The initramfs compares the command line with the signed one, so that a status
    // page means that they are the same.
    expect_up(&shipped, &root_hash).context("after keys were hammered during boot")?;
    drop(shipped);

    let opened = bench.copy_disk("opened")?;
    opened.write_boot_file("loader/loader.conf", b"timeout 60\neditor yes\n")?;
    let machine = start(&bench.machine("opened").disk(opened.disk()))?;
    let console = machine.console();
    console.expect(MENU, PATIENCE).context("the attacker's menu did not open")?;
    console.send("e")?;
    console.expect("bastide.core=", PATIENCE).context("the attacker's editor did not open")?;
    // End: the new words go behind the signed ones.
    console.send("\x1b[F")?;
    console.send(WORDS)?;
    console.expect("init=/bin/sh", PATIENCE).context("the editor did not take the words")?;
    console.send("\r")?;
    expect_up(&machine, &root_hash).context("after the command line was edited")?;
    ensure!(
        !console.text().contains("was added to the signed one"),
        "the words reached the kernel"
    );
    Ok(())
}

/// Presses the keys that open systemd-boot's menu and editor, on the serial line and
/// on the keyboard, until the kernel runs.
fn hammer(machine: &mut Machine) -> Result<()> {
    for round in 0..2_000 {
        match machine.console().expect("EFI stub: ", Duration::from_millis(100)) {
            Ok(_) => {
                ensure!(round > 10, "the kernel ran before a key could be pressed");
                return Ok(());
            }
            Err(ExpectError::Silent { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        if machine.console().text().contains("BdsDxe: starting") {
            // In case a menu did open: edit, append, boot.
            machine.console().send(&format!(" e{WORDS}\r"))?;
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
