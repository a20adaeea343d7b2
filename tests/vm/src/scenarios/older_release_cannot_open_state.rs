//! An update to a later release, and the way back: both are signed by the same owner, and
//! each has its Core on the disk.

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, start};
use crate::installation::root_hash;
use crate::page::{expect_up, power_off};
use crate::recovery::{expect_opened_by_tpm, expect_prompt};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "older_release_cannot_open_state",
    claim: "A later release that the owner signed opens the state without anything being sealed again; once it \
            was seen healthy, an older one with valid signatures does not open it any more.",
    class: Class::Default,
    run,
};

/// What the initramfs says when it shuts older releases out.
const SHUT_OUT: &str = "bastide: state: opens to no release before ";

fn run(bench: &Bench) -> Result<()> {
    let later = bench.later()?;
    let machine = bench.own_copy("machine")?;
    machine.install_release(later)?;
    // The first boot shows that the later release is healthy, the second goes by that.
    for (boot, shuts_out) in [("first", false), ("second", true)] {
        let mut running = start(&machine.inhabit(bench.machine(boot)))?;
        expect_opened_by_tpm(running.console())
            .and_then(|()| expect_up(&running, &root_hash(later)?).map(drop))
            .with_context(|| format!("at the {boot} boot of the later release"))?;
        ensure!(
            running.console().text().contains(SHUT_OUT) == shuts_out,
            "older releases are shut out at the wrong boot; this is the {boot}"
        );
        power_off(&mut running)?;
    }

    machine.install_bundle(bench.images())?;
    let running = start(&machine.inhabit(bench.machine("older")))?;
    let why = expect_prompt(running.console()).context("back with the older release")?;
    ensure!(why.contains("release"), "the refusal does not speak of the release: {why}");
    Ok(())
}
