//! Two disks in one machine: on the first, PID 1 and the parity that could repair it
//! are destroyed; on the second, the whole hash tree and the parity.

use anyhow::{Result, ensure};

use crate::bench::{Bench, expect_initramfs_refusal};
use crate::core_area::CoreArea;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "core_beyond_repair_is_refused",
    claim: "A Core whose damage exceeds its error correction is refused, and nothing of it runs.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let without_init = bench.copy_disk("without-init")?;
    let core = CoreArea::new(bench, &without_init)?;
    for block in core.init_blocks()? {
        core.invert_block(core.data_block(block))?;
    }
    core.invert_parity()?;
    // Counter-proof: read past dm-verity, the disk does give the changed bytes.
    let first = core.data_block(core.init_blocks()?[0]);
    ensure!(
        without_init.read_at(first, 4096)? != bench.copy_disk("shipped")?.read_at(first, 4096)?,
        "the attack changed nothing"
    );

    let without_tree = bench.copy_disk("without-tree")?;
    let core = CoreArea::new(bench, &without_tree)?;
    core.invert_hash_tree()?;
    core.invert_parity()?;

    let machine = bench
        .machine("machine")
        .disk(without_init.disk())
        .disk(without_tree.disk());
    let shown = expect_initramfs_refusal(&machine, &["no partition holds core"])?;
    for candidate in ["candidate vda2 refused", "candidate vdb2 refused"] {
        ensure!(shown.contains(candidate), "the console does not say {candidate:?}");
    }
    Ok(())
}
