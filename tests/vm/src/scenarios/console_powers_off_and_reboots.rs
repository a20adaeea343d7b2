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

/// How long nothing may happen after a key that must do nothing.
const QUIET: Duration = Duration::from_secs(4);

/// What the kernel or PID 1 say when the machine stops.
const STOPPING: &[&str] = &["bastide: powering off", "bastide: rebooting", "reboot: "];

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    let mut machine = start(&bench.machine("machine").disk(bench.shipped_disk()))?;
    expect_up(&machine, &root_hash)?;
    let console = machine.console();

    for (keys, what) in [("x", "a key that means nothing"), ("pn", "cancelling"), ("p\x1b", "escape"), ("y", "a confirmation of nothing")] {
        console.send(keys)?;
        console.expect_none(STOPPING, QUIET).with_context(|| format!("after {what}"))?;
        ensure!(!console.is_closed(), "{what} powered the machine off");
    }

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
