//! A service writes 60 000 lines as fast as it can; another speaks in the name of PID 1
//! and of the kernel.

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, PATIENCE, start};
use crate::hostile::{Outcome, outcomes};
use crate::page::{Page, power_off};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "log_flood_displaces_nothing",
    claim: "A service that floods the log fills its own share of it and no more: others' entries stay, and \
            the machine goes on; what one says in another's name is kept as its own.",
    class: Class::Default,
    run,
};

/// What a source may keep of that, generously: as records the lines have some 20 MiB.
const SHARE_MIB: u64 = 8;

/// Counts whose lines the log holds, and how much the flooding source takes.
const COUNT: &str = r#"
open_state "$KEY" --readonly
mkdir -p /run/state
mount -t ext4 -o ro,noload /dev/mapper/state /run/state
logs() { find /run/state -name '[0-9]*-[0-9]*.log' "$@"; }
result flood "$(logs -path '*hostile-flood*' -printf '%s\n' | awk '{sum += $1} END {print int(sum / 1048576)}')"
result others "$(logs ! -path '*hostile-flood*' -exec cat {} + | wc -l)"
result kernel "$(logs ! -path '*hostile-flood*' -exec grep -c 'Linux version' {} + | awk -F: '{sum += $NF} END {print sum + 0}')"
forged() { logs "$@" -exec grep -h 'forged by a service' {} + | wc -l; }
result forged "$(forged -path '*/hostile-granted/*')"
result passed-off "$(forged ! -path '*/hostile-granted/*')"
result dropped "$(logs -exec cat {} + | grep -ci 'dropped\|suppressed\|limit' || true)"
"#;

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.trial_machine("machine")?;
    let mut configuration = machine.inhabit(bench.machine("machine"));
    configuration.second_line = true;
    let mut running = start(&configuration)?;
    let tried = outcomes(running.second_line(), "hostile-flood", PATIENCE)?;
    ensure!(
        tried.get("log-flood") == Some(&Outcome::Succeeded),
        "the flood was not sent: {tried:?}"
    );
    Page::read(running.console()).context("the machine does not answer after the flood")?;
    power_off(&mut running)?;

    let task = format!("KEY={}\n{COUNT}", bench.recovery_key()?);
    let found = bench.rescue("rescue", &task, &machine.disk_to_look_at(), None)?;
    let number = |name: &str| -> Result<u64> {
        let line = found.iter().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no count of {name} in {found:?}"))?.parse()?)
    };
    ensure!(number("flood")? <= SHARE_MIB, "the flood took more than its share: {found:?}");
    // Two boots: that of provisioning and this one.
    ensure!(number("kernel")? >= 2, "the flood displaced the kernel's entries: {found:?}");
    ensure!(number("others")? > 100, "the flood displaced others' entries: {found:?}");
    ensure!(
        number("forged")? == 2 && number("passed-off")? == 0,
        "what a service said in another's name is not kept as its own: {found:?}"
    );
    ensure!(number("dropped")? > 0, "the log does not say that it dropped lines: {found:?}");
    Ok(())
}
