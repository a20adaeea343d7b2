//! The TPM is replaced; the owner types the recovery key and has the state sealed to the
//! new one. The key was taken from the QR code that the first boot showed.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{OPENED, PROVISIONING, RECOVERY_PROMPT, STATE_REFUSED};

use crate::bench::{Bench, PATIENCE, start};
use crate::page::{expect_up, power_off};
use crate::provisioned::{Provisioned, mistyped};
use crate::recovery::{expect_opened_by_tpm, expect_prompt_or_refusal, open_with};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "recovery_key_opens_and_reseals",
    claim: "When the TPM is another one, the recovery key opens the state and seals it again, after which no \
            person is needed; the QR code that was shown holds that very key.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let provisioned = bench.provisioned()?;
    let machine = bench.own_copy("machine")?;
    machine.replace_tpm()?;
    let mut running = start(&machine.inhabit(bench.machine("replaced-tpm")))?;
    expect_prompt_or_refusal(running.console())?;
    // A slip of the finger costs one try and no more.
    running.console().send(&format!("{}\r", mistyped(&provisioned.recovery_key)))?;
    let unwanted = [OPENED, &[PROVISIONING, STATE_REFUSED]].concat();
    running
        .console()
        .expect_any(&[RECOVERY_PROMPT], &unwanted, PATIENCE)
        .context("after a mistyped recovery key")?;
    // Small letters are as good.
    open_with(running.console(), &provisioned.recovery_key.to_lowercase(), true)?;
    expect_up(&running, &bench.root_hash()?)?;
    power_off(&mut running)?;

    let running = start(&machine.inhabit(bench.machine("sealed-again")))?;
    expect_opened_by_tpm(running.console()).context("after sealing again")?;
    expect_up(&running, &bench.root_hash()?)?;
    drop(running);
    shown_as_a_code(&provisioned)
}

/// Reads the QR code off the screen.
fn shown_as_a_code(provisioned: &Provisioned) -> Result<()> {
    let mut read = Vec::new();
    for picture in &provisioned.pictures {
        let output = Command::new("zbarimg")
            .args(["--quiet", "--raw", "-Sbinary=0", "-Stest-inverted=1"])
            .arg(picture)
            .output()
            .context("zbarimg does not start; install package zbar-tools")?;
        read.push(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    ensure!(
        read.iter().any(|text| text.contains(&provisioned.recovery_key)),
        "no picture of the screen holds the recovery key as a QR code: {read:?}"
    );
    Ok(())
}
