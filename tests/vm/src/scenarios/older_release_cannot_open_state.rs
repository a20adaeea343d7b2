//! An update to a later release, and the way back: both are signed by the same owner, and
//! each has its Core on the disk.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{DEGRADED, PAGE, PANIC};

use crate::bench::{Bench, PATIENCE, start};
use crate::installation::root_hash;
use crate::page::{Page, power_off};
use crate::recovery::{expect_opened_by_tpm, expect_prompt};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "older_release_cannot_open_state",
    claim: "A later release that the owner signed opens the state without anything being sealed again; from \
            then on an older one, with valid signatures, does not.",
    class: Class::Long,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.trial_machine("machine")?;
    let mut running = start(&machine.inhabit(bench.machine("later")))?;
    expect_opened_by_tpm(running.console()).context("with the later release")?;
    // Hostile services fail as they should; that is another scenario's business.
    let console = running.console();
    console.expect_any(&[PAGE, DEGRADED], &[PANIC], PATIENCE)?;
    let page = Page::read(console)?;
    let trial = root_hash(bench.trial()?)?;
    ensure!(page.shows_digits(&trial.to_string()), "another Core than the later release's runs");
    power_off(&mut running)?;

    machine.install_bundle(bench.images())?;
    let running = start(&machine.inhabit(bench.machine("older")))?;
    let why = expect_prompt(running.console()).context("back with the older release")?;
    ensure!(
        why.contains("release") || why.contains("version"),
        "the refusal does not speak of the release: {why}"
    );
    Ok(())
}
