//! Everything on the boot partition that is not signed goes, and files come that other
//! systems take for orders: first boot, configuration, keys, another machine's leavings.

use anyhow::{Context, Result};
use bastide_vm::signs::{KERNEL_RUNS, NOTHING_BOOTS};

use crate::bench::{Bench, PATIENCE, read, start};
use crate::page::expect_up;
use crate::recovery::expect_opened_by_tpm;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "boot_partition_decides_nothing",
    claim: "An emptied boot partition does not boot; one with nothing but the signed boot chain, or with \
            another machine's files, opens the same state as before and makes none anew.",
    class: Class::Default,
    run,
};

/// What an attacker leaves for systems that believe their boot partition.
const ORDERS: &[&str] = &[
    "bastide/first-boot",
    "bastide/provision",
    "bastide/state.key",
    "loader/credentials/cryptsetup.passphrase.cred",
    "loader/random-seed",
    "loader/entries/attack.conf",
    "EFI/Linux/attack.efi.extra.d/evil.cred",
    "EFI/BOOT/grub.cfg",
];

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.own_copy("machine")?;
    let disk = machine.open_disk()?;
    let bundle = disk.bundle_path()?;
    let loader = disk.read_boot_file("EFI/BOOT/BOOTX64.EFI")?;
    disk.empty_boot_partition()?;
    let running = start(&machine.inhabit(bench.machine("emptied")))?;
    running
        .console()
        .expect_any(&[NOTHING_BOOTS], KERNEL_RUNS, PATIENCE)
        .context("with an empty boot partition")?;
    drop(running);

    disk.write_boot_file("EFI/BOOT/BOOTX64.EFI", &loader)?;
    disk.write_boot_file(&bundle, &read(&bench.image("bastide.efi"))?)?;
    for order in ORDERS {
        disk.write_boot_file(order, b"\x01first-boot=yes\n")?;
    }
    let running = start(&machine.inhabit(bench.machine("foreign")))?;
    expect_opened_by_tpm(running.console()).context("with somebody else's files")?;
    expect_up(&running, &bench.root_hash()?)?;
    Ok(())
}
