//! Two disks in one machine: on the first the verity superblock is no superblock any
//! more, on the second only its salt is another one.

use anyhow::{Result, ensure};

use crate::bench::{Bench, expect_initramfs_refusal};
use crate::core_area::CoreArea;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "changed_superblock_is_refused",
    claim: "A Core with a changed verity superblock is refused.",
    class: Class::Default,
    run,
};

/// Where the salt starts in a verity superblock.
const SALT: u64 = 88;

fn run(bench: &Bench) -> Result<()> {
    let mut machine = bench.machine("machine");
    for (name, at) in [("magic", 0), ("salt", SALT)] {
        let disk = bench.copy_disk(name)?;
        let core = CoreArea::new(bench, &disk)?;
        disk.flip_bit(core.superblock() + at, 0)?;
        machine = machine.disk(disk.disk());
    }
    let shown = expect_initramfs_refusal(&machine, &["no partition holds core"])?;
    for candidate in ["candidate vda2 refused", "candidate vdb2 refused"] {
        ensure!(shown.contains(candidate), "the console does not say {candidate:?}");
    }
    Ok(())
}
