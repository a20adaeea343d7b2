//! The image as shipped, and what its status page says against what the build knows.

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, start};
use crate::page::expect_up;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "machine_comes_up",
    claim: "The shipped disk boots with Secure Boot on, and the status page shows the owner's key, the \
            Core's root hash, the TPM and kernel lockdown.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let machine = start(&bench.provisioned_machine("machine")?)?;
    let page = expect_up(&machine, &bench.root_hash()?)?;

    let instrumented = page.line("instrumented")?;
    ensure!(instrumented.contains("Instrumented no"), "an instrumented image: {instrumented}");
    let secure_boot = page.line("secure boot")?;
    ensure!(secure_boot.contains(" on"), "Secure Boot is not on: {secure_boot}");
    let owner = bench.owner_fingerprint("PK")?;
    ensure!(
        page.shows_digits(&owner.to_string()),
        "the status page does not show the owner's fingerprint {owner}"
    );
    page.line("lockdown confidentiality").context("the kernel is not locked down")?;
    page.line("tpm")?;
    let expected = crate::measurement::running_pcr11(&crate::bench::read(&bench.image("bastide.efi"))?)?;
    ensure!(
        page.shows_digits(&hex::encode(expected)),
        "PCR 11 is not the measurement of the kernel bundle and of the initramfs's two words, {}",
        hex::encode(expected)
    );
    Ok(())
}
