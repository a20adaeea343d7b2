//! A service with the TPM in hand asks it, on the running system, for the policy session
//! that unsealing would need.

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, PATIENCE, read, start};
use crate::hostile::{Outcome, outcomes, said};
use crate::measurement::{ENTER_INITRD, pcr11, pcr11_policy, running_pcr11, with_word};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "running_system_cannot_unseal_again",
    claim: "Once the Core runs, no program can meet the policy that the state's key is sealed under, not \
            even one that has the TPM.",
    class: Class::Default,
    run,
};

/// The service that has the TPM.
const SERVICE: &str = "hostile-unsealer";

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.trial_machine("machine")?;
    let mut configuration = machine.inhabit(bench.machine("machine"));
    configuration.second_line = true;
    let running = start(&configuration)?;
    let line = running.second_line();
    let tried = outcomes(line, SERVICE, PATIENCE)?;
    // Counter-proof: it does talk to the TPM.
    for name in ["unseal-record", "unseal-policy"] {
        let outcome = tried.get(name).with_context(|| format!("{name} was not tried"))?;
        ensure!(*outcome == Outcome::Succeeded, "{name} did not reach the TPM: {outcome:?}");
    }
    let digest = said(line, SERVICE, "unseal-policy", PATIENCE)?;
    let digest = digest.strip_prefix("digest ").context("no policy digest")?;
    let bundle = read(&bench.trial()?.join("bastide.efi"))?;
    let signed = pcr11_policy(&with_word(pcr11(&bundle)?, ENTER_INITRD));
    let now = pcr11_policy(&running_pcr11(&bundle)?);
    ensure!(digest != hex::encode(signed), "the running system meets the signed policy");
    ensure!(
        digest == hex::encode(now),
        "PCR 11 is neither what was measured nor what the owner signed: policy {digest}"
    );
    Ok(())
}
