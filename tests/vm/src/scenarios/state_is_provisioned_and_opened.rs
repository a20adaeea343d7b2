//! A machine's first three boots: it makes its state, then opens it without a person, and
//! nobody is asked again.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{PROVISIONING, RECOVERY_KEY};

use crate::bench::{Bench, start};
use crate::page::{Page, expect_up, power_off};
use crate::recovery::expect_opened_by_tpm;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "state_is_provisioned_and_opened",
    claim: "The first boot makes an encrypted state and shows a recovery key once; later boots open it by \
            the TPM without a person.",
    class: Class::Default,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    let provisioned = bench.provisioned()?;
    let shown = &provisioned.console;
    ensure!(shown.contains("% prepared"), "the first boot does not say how far it is");
    ensure!(
        shown.matches(RECOVERY_KEY).count() == 1,
        "the first boot does not show the recovery key exactly once"
    );

    let machine = bench.own_copy("machine")?;
    for boot in ["second", "third"] {
        let mut running = start(&machine.inhabit(bench.machine(boot)))?;
        expect_opened_by_tpm(running.console())
            .and_then(|()| {
                let page = expect_up(&running, &root_hash)?;
                says_how_it_is_kept(&page)
            })
            .with_context(|| format!("at the {boot} boot"))?;
        let text = running.console().text();
        for secret in [RECOVERY_KEY, provisioned.recovery_key.as_str(), PROVISIONING] {
            ensure!(!text.contains(secret), "the {boot} boot shows {secret:?} again");
        }
        power_off(&mut running)?;
    }
    Ok(())
}

/// The page's own line on state and swap.
fn says_how_it_is_kept(page: &Page) -> Result<()> {
    let data = page.line("data")?;
    for word in ["opened by the TPM", "hmac(sha256)", "swap on"] {
        ensure!(data.contains(word), "the page does not say {word:?} of the state: {data}");
    }
    Ok(())
}
