//! The disk is moved into a machine with another TPM, firmware and keys being the same:
//! once a TPM that was never used, once one of a machine with a state of its own.

use std::time::Duration;

use anyhow::{Context, Result};
use bastide_vm::signs::OPENED;

use crate::bench::{Bench, start};
use crate::recovery::expect_prompt_or_refusal;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "disk_in_another_machine_stays_shut",
    claim: "A disk that was moved to another machine, or whose machine got another TPM, opens by no TPM; \
            the machine asks for the recovery key.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.provisioned()?.installation.lend(&bench.record().join("machine"))?;
    machine.replace_tpm()?;
    let running = start(&machine.inhabit(bench.machine("new-tpm")))?;
    expect_prompt_or_refusal(running.console()).context("with a TPM that was never used")?;
    // Nobody answers: it goes on waiting.
    running.console().expect_none(OPENED, Duration::from_secs(10))?;
    Ok(())
}
