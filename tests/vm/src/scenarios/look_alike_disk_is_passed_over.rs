//! A second disk that is the shipped one in everything but its Core: same partition
//! identities, same boot loader, a Core with the attacker's PID 1, and a state of its own to be
//! made.

use anyhow::{Result, ensure};

use crate::bench::{Bench, start};
use crate::page::expect_up;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "look_alike_disk_is_passed_over",
    claim: "A disk with look-alike partitions is never booted from, whichever order the disks are in.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    let look_alike = bench.copy_disk("look-alike")?;
    look_alike.overwrite_partition("core-a", &bench.material_path("other-core.img"))?;

    let owned = bench
        .provisioned()?
        .installation
        .lend(&bench.record().join("machine"))?;
    let second = owned
        .inhabit(bench.machine("look-alike-second"))
        .disk(look_alike.disk());
    let machine = start(&second)?;
    expect_up(&machine, &root_hash)?;
    let shown = machine.console().text();
    ensure!(shown.contains("verified on vda2"), "the Core does not come from vda2");
    drop(machine);

    let first = owned
        .board_of(bench.machine("look-alike-first"))
        .disk(look_alike.disk())
        .disk(owned.disk());
    let machine = start(&first)?;
    expect_up(&machine, &root_hash)?;
    let shown = machine.console().text();
    ensure!(
        shown.contains("candidate vda2 refused"),
        "the look-alike was not refused on the console"
    );
    ensure!(shown.contains("verified on vdb2"), "the Core does not come from vdb2");
    Ok(())
}
