//! PID 1 crashes, as a fault in it would have it: a service that was granted the right to
//! sends it the signal of a wrong access to memory.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{DEGRADED, PAGE, PANIC, REFUSED};

use crate::bench::{Bench, PATIENCE, start};
use crate::page::Page;
use crate::recovery::expect_opened_by_tpm;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "crash_of_init_is_recorded",
    claim: "A crash of PID 1 is a clean reboot, and the next boot's page says what it was.",
    class: Class::Default,
    run,
};

/// What PID 1 says of its crash.
const REASON: &str = "it crashed by signal 11";

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.trial_machine("machine")?;
    let mut configuration = machine.inhabit(bench.machine("machine"));
    configuration.second_line = true;
    let running = start(&configuration)?;
    let console = running.console();
    console.expect_any(&[PAGE, DEGRADED], &[REFUSED, PANIC], PATIENCE)?;
    let before = Page::read(console)?;
    let line = before.line("last failure")?;
    ensure!(line.contains("none recorded"), "before the crash the page says: {line}");

    console.forget();
    running.second_line().send("crash\r")?;
    console
        .expect_any(&["BdsDxe: starting"], &[PANIC], PATIENCE)
        .context("PID 1 was told to crash, and the machine did not start again")?;
    expect_opened_by_tpm(console)?;
    console.expect_any(&[PAGE, DEGRADED], &[REFUSED, PANIC], PATIENCE)?;
    let after = Page::read(console)?;
    let line = after.line("last failure")?;
    ensure!(line.contains(REASON), "after the crash the page says: {line}");
    Ok(())
}
