//! Both replaced boot loaders share a machine: the firmware tries one disk after the
//! other and must refuse each.

use anyhow::Result;

use crate::bench::{Bench, expect_firmware_refusal};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "replaced_boot_loader_is_refused",
    claim: "A boot loader that is unsigned, or signed by anyone but the owner, is not started.",
    class: Class::Default,
    run,
};

/// Where the firmware looks for a boot loader, and where ours lies besides.
pub const PLACES: [&str; 2] = ["EFI/BOOT/BOOTX64.EFI", "EFI/systemd/systemd-bootx64.efi"];

fn run(bench: &Bench) -> Result<()> {
    let mut machine = bench.machine("machine");
    for kind in ["unsigned", "foreign"] {
        let disk = bench.copy_disk(kind)?;
        let loader = bench.material(&format!("{kind}-boot-loader.efi"))?;
        for place in PLACES {
            disk.write_boot_file(place, &loader)?;
        }
        machine = machine.disk(disk.disk());
    }
    expect_firmware_refusal(&machine, &["failed to load Boot0001", "failed to load Boot0002"])
}
