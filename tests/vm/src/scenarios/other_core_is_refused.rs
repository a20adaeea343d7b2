//! A Core that is valid in itself, with the attacker's PID 1: once under its own
//! identity, once under that of the owner's.

use anyhow::{Context, Result};
use bastide_boot::RootHash;

use crate::bench::{Bench, expect_initramfs_refusal, read};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "other_core_is_refused",
    claim: "A valid Core with another root hash is refused, under its own partition identity and under \
            a forged one.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let text = String::from_utf8(read(&bench.material_path("other-core.roothash"))?)?;
    let other: RootHash = text.trim().parse().context("other-core.roothash is no root hash")?;

    let honest = bench.copy_disk("honest")?;
    honest.overwrite_partition("core-a", &bench.material_path("other-core.img"))?;
    honest.forge_uuid("core-a", other.partition_uuid())?;
    let wanted = bench.root_hash()?.partition_uuid().to_string();
    expect_initramfs_refusal(
        &bench.machine("honest").disk(honest.disk()),
        &["no partition holds core", &wanted],
    )?;

    let forged = bench.copy_disk("forged")?;
    forged.overwrite_partition("core-a", &bench.material_path("other-core.img"))?;
    expect_initramfs_refusal(
        &bench.machine("forged").disk(forged.disk()),
        &["no partition holds core", "vda2"],
    )?;
    Ok(())
}
