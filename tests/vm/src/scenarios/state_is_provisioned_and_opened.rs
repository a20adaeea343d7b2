//! A machine's first three boots: it makes its state, then opens it without a person, and
//! what it keeps there is still there.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{PROVISIONING, RECOVERY_KEY};

use crate::bench::{Bench, start};
use crate::page::{Page, expect_up, power_off};
use crate::recovery::expect_opened_by_tpm;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "state_is_provisioned_and_opened",
    claim: "The first boot makes an encrypted state and shows a recovery key once; later boots open it by \
            the TPM without a person, and find what earlier ones kept.",
    class: Class::Default,
    run,
};

/// Says of how many boots the log has files, which are called `<boot>-<part>.log`.
const BOOTS: &str = r#"
open_state "$KEY" --readonly
mkdir -p /run/state
mount -t ext4 -o ro,noload,nosuid,nodev,noexec /dev/mapper/state /run/state
result boots "$(find /run/state -name '[0-9]*-[0-9]*.log' -printf '%f\n' | cut -d- -f1 | sort -u | wc -l)"
result foreign "$(find /run/state -perm /6000 -print -quit | wc -l)"
"#;

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

    let task = format!("KEY={}\n{BOOTS}", provisioned.recovery_key);
    let found = bench.rescue("rescue", &task, &machine.disk_to_look_at(), None)?;
    ensure!(
        found.iter().any(|line| line == "boots 3"),
        "the state does not hold the log of three boots: {found:?}"
    );
    ensure!(found.iter().any(|line| line == "foreign 0"), "a set-uid file in the state");
    Ok(())
}

/// The page's own lines on state, swap and mounts.
fn says_how_it_is_kept(page: &Page) -> Result<()> {
    let state = page.line("volume")?;
    ensure!(state.contains("opened by the TPM"), "the page does not say who opened the state: {state}");
    let swap = page.line("swap")?;
    ensure!(swap.contains("random key"), "swap is not encrypted anew: {swap}");
    page.line("nosuid,nodev,noexec")
        .context("the page does not say that nothing on a writable mount is run")
        .map(drop)
}
