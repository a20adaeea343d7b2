//! The status page's own keys: a wrong one, a cancelled one, and the two that work.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, PATIENCE, start};
use crate::page::expect_up;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "console_powers_off_and_reboots",
    claim: "From the status page one can reboot and power off, each only after a confirmation.",
    class: Class::Default,
    run,
};

/// Keys that must not stop the machine, what the page must answer, and what they are.
const HARMLESS: &[(&str, &str, &str)] = &[
    ("x", "does nothing", "a key that means nothing"),
    ("pn", "Cancelled; nothing was stopped", "a refused question"),
    ("y", "does nothing", "an answer to no question"),
    ("rp", "Cancelled; nothing was stopped", "a second command for an answer"),
    ("p\r", "Cancelled; nothing was stopped", "Enter for an answer"),
];

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    let mut machine = start(&bench.provisioned_machine("machine")?)?;
    expect_up(&machine, &root_hash)?;
    let console = machine.console();

    for (keys, answer, what) in HARMLESS {
        // A refresh clears the last answer, so that the next one is drawn.
        console.send(" ")?;
        console.send(keys)?;
        console.expect(answer, PATIENCE).with_context(|| format!("after {what}"))?;
    }
    let stopping = ["Powering off...", "Rebooting..."];
    console
        .expect_none(&stopping, Duration::from_secs(3))
        .context("although nothing was confirmed")?;
    ensure!(!console.is_closed(), "the machine went off although nothing was confirmed");

    console.forget();
    console.send("r")?;
    console.send("y")?;
    console.expect("BdsDxe: starting", PATIENCE).context("the machine did not reboot")?;
    expect_up(&machine, &root_hash).context("after the reboot")?;

    machine.console().send("p")?;
    machine.console().send("y")?;
    let status = machine.wait_off(PATIENCE)?;
    ensure!(status.success(), "QEMU did not end well: {status}");
    Ok(())
}
