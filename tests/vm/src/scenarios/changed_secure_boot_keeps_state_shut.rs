//! The firmware of a provisioned machine is changed: Secure Boot off; another owner's keys
//! enrolled, with a boot chain that he signed. The kernel bundle is the owner's each time,
//! so that only PCR 7 tells.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::RECOVERY_TRIES;

use super::replaced_boot_loader_is_refused::PLACES;
use crate::bench::{Bench, start};
use crate::page::expect_up;
use crate::provisioned::recovery_key;
use crate::recovery::{exhaust, expect_prompt, open_with};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "changed_secure_boot_keeps_state_shut",
    claim: "With Secure Boot off, or with another owner's keys enrolled, the TPM does not open the state; \
            the recovery key does, and five wrong ones end the boot.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let provisioned = bench.provisioned()?;
    let place = |name: &str| bench.record().join(format!("{name}-machine"));

    let off = provisioned.installation.lend(&place("off"))?;
    off.replace_variables(&bench.material_path("keyless-variables.fd"))?;
    let running = start(&off.inhabit(bench.machine("off")))?;
    expect_prompt(running.console()).context("with Secure Boot off")?;
    open_with(running.console(), &provisioned.recovery_key, false)?;
    let page = expect_up(&running, &bench.root_hash()?)?;
    let line = page.line("secure boot")?;
    ensure!(!line.contains(" on"), "the status page claims Secure Boot: {line}");
    drop(running);

    let other = provisioned.installation.copy(&place("other-keys"))?;
    other.replace_variables(&bench.material_path("foreign-variables.fd"))?;
    let disk = other.open_disk()?;
    disk.write_boot_file(&disk.bundle_path()?, &bench.material("foreign-uki.efi")?)?;
    for place in PLACES {
        disk.write_boot_file(place, &bench.material("foreign-boot-loader.efi")?)?;
    }
    let running = start(&other.inhabit(bench.machine("other-keys")))?;
    expect_prompt(running.console()).context("with another owner's keys")?;
    // Well-formed, so that it is tried and not only looked at.
    let wrong = recovery_key(*b"not the owner's key!");
    exhaust(running.console(), &wrong, RECOVERY_TRIES)
}
