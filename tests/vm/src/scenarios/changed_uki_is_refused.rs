//! One bit of the kernel, of the initramfs and of the command line, each in a
//! bundle that still carries the owner's signature.

use anyhow::{Context, Result};

use crate::bench::{Bench, expect_firmware_refusal, read};
use crate::boot_file::with_flipped_bit;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "changed_uki_is_refused",
    claim: "One changed bit in kernel, initramfs or command line keeps the bundle from starting.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let shipped = read(&bench.image("bastide.efi"))?;
    for (name, section) in [("kernel", ".linux"), ("initramfs", ".initrd"), ("command-line", ".cmdline")] {
        let disk = bench.copy_disk(name)?;
        disk.write_boot_file(&disk.bundle_path()?, &with_flipped_bit(&shipped, section)?)?;
        expect_firmware_refusal(&bench.machine(name).disk(disk.disk()), &["Access denied"])
            .with_context(|| format!("with one bit of the {name} changed"))?;
    }
    Ok(())
}
