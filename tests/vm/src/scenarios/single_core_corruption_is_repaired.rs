//! First a data block that the boot reads is spoilt, then a block of the hash tree.

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, start};
use crate::core_area::CoreArea;
use crate::page::expect_up;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "single_core_corruption_is_repaired",
    claim: "A corrupted data block, and a corrupted hash block, is repaired, the repair is logged, and \
            the machine comes up.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    for name in ["data-block", "hash-block"] {
        repaired(bench, name).with_context(|| format!("with a corrupted {name}"))?;
    }
    Ok(())
}

fn repaired(bench: &Bench, name: &str) -> Result<()> {
    let owned = bench.own_copy(name)?;
    let disk = owned.open_disk()?;
    let core = CoreArea::new(bench, &disk)?;
    let block = *core.init_blocks()?.first().context("PID 1 has no blocks")?;
    core.invert_block(match name {
        "data-block" => core.data_block(block),
        _ => core.leaf_hash_block(block),
    })?;

    let machine = start(&owned.inhabit(bench.machine(name)))?;
    let page = expect_up(&machine, &bench.root_hash()?)?;
    let shown = machine.console().text();
    ensure!(
        shown.contains("bastide: core on vda2 repaired"),
        "the repair was not logged"
    );
    let verity = page.line("repaired")?;
    ensure!(
        !verity.contains("no block repaired"),
        "the status page hides the repair: {verity}"
    );
    Ok(())
}
