//! The kernel bundle as shipped, but for its signature.

use anyhow::Result;

use crate::bench::{Bench, expect_firmware_refusal};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "unsigned_uki_is_refused",
    claim: "A kernel bundle without signature is not started.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let disk = bench.copy_disk("unsigned")?;
    disk.write_boot_file(&disk.bundle_path()?, &bench.material("unsigned-uki.efi")?)?;
    expect_firmware_refusal(&bench.machine("machine").disk(disk.disk()), &["Access denied"])
}
