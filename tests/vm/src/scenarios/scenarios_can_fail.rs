//! Counter-proofs: the same attacks with the protection off, where they must succeed.
//! Without these a scenario could pass because its attack never reached anything.

use anyhow::{Context, Result, ensure};

use super::command_line_cannot_be_edited::add_entry;
use super::replaced_boot_loader_is_refused::PLACES;
use crate::bench::{Bench, expect_initramfs_refusal, start};
use crate::page::expect_up;
use crate::recovery::{expect_prompt, open_with};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "scenarios_can_fail",
    claim: "With Secure Boot off, the unsigned and the foreign bundle and boot loader do start, the status \
            page says so, and an attacker's boot entry does reach the kernel's command line.",
    class: Class::Long,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    for kind in ["unsigned", "foreign"] {
        let owned = bench.own_copy(kind)?;
        owned.replace_variables(&bench.material_path("keyless-variables.fd"))?;
        let disk = owned.open_disk()?;
        disk.write_boot_file(&disk.bundle_path()?, &bench.material(&format!("{kind}-uki.efi"))?)?;
        for place in PLACES {
            disk.write_boot_file(place, &bench.material(&format!("{kind}-boot-loader.efi"))?)?;
        }
        let machine = start(&owned.inhabit(bench.machine(kind)))?;
        // The TPM sees what the firmware does not check.
        expect_prompt(machine.console()).with_context(|| format!("with the {kind} boot chain"))?;
        open_with(machine.console(), &bench.recovery_key()?, false)?;
        let page = expect_up(&machine, &root_hash).with_context(|| format!("with the {kind} boot chain"))?;
        let line = page.line("secure boot")?;
        ensure!(!line.contains(" on"), "the status page claims Secure Boot: {line}");
    }
    let disk = bench.copy_disk("entry")?;
    add_entry(&disk, &bench.material("unsigned-addon.efi")?)?;
    let machine = bench.machine_without_secure_boot("entry").disk(disk.disk());
    expect_initramfs_refusal(&machine, &["command line", "init=/bin/sh"])
        .context("with the attacker's boot entry and Secure Boot off")?;
    Ok(())
}
