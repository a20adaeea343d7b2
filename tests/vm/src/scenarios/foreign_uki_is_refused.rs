//! The kernel bundle as shipped, signed by somebody who is not enrolled.

use anyhow::Result;

use crate::bench::{Bench, expect_firmware_refusal};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "foreign_uki_is_refused",
    claim: "A kernel bundle signed by anyone but the owner is not started.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let disk = bench.copy_disk("foreign")?;
    disk.write_boot_file(&disk.bundle_path()?, &bench.material("foreign-uki.efi")?)?;
    expect_firmware_refusal(&bench.machine("machine").disk(disk.disk()), &["Access denied"])
}
