//! Read offline from the variable store as shipped; nothing is booted.

use anyhow::{Result, ensure};

use crate::bench::{Bench, read};
use crate::scenario::{Class, Scenario};
use crate::variable_store::{certificates, variables};

pub const SCENARIO: Scenario = Scenario {
    name: "only_owner_keys_are_enrolled",
    claim: "The firmware knows the owner's PK, KEK and db certificates and nobody else's.",
    class: Class::Quick,
    run,
};

fn run(bench: &Bench) -> Result<()> {
    let store = variables(&read(&bench.image("OVMF_VARS.fd"))?)?;
    for name in ["PK", "KEK", "db"] {
        let owner = bench.owner_fingerprint(name)?;
        let enrolled = certificates(&store, name)?;
        ensure!(
            enrolled == [owner],
            "{name} holds {enrolled:?}, not only the owner's {owner}"
        );
    }
    let enabled = store.iter().find(|variable| variable.name == "SecureBootEnable");
    ensure!(
        enabled.is_some_and(|variable| variable.data == [1]),
        "Secure Boot is not switched on in the variable store"
    );
    Ok(())
}
