//! The state is filled to the last block, from outside, where no quota holds.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{DEGRADED, PAGE, PANIC, REFUSED};

use crate::bench::{Bench, PATIENCE, start};
use crate::page::{Page, power_off};
use crate::recovery::expect_opened_by_tpm;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "full_state_degrades_and_says_so",
    claim: "With a full state the machine comes up, says that it is full, and still has room for its log.",
    class: Class::Default,
    run,
};

/// Fills it as an ordinary user would: the reserve stays.
const FILL: &str = r#"
open_state "$KEY"
mkdir -p /run/state
mount -t ext4 /dev/mapper/state /run/state
mkdir -p /run/state/filling
chmod 777 /run/state/filling
setpriv --reuid 4321 --clear-groups dd if=/dev/zero of=/run/state/filling/file bs=1M status=none || true
setpriv --reuid 4321 --clear-groups dd if=/dev/zero of=/run/state/filling/rest bs=4k status=none || true
sync
result free "$(stat --file-system --format=%a /run/state)"
result reserved "$(($(stat --file-system --format=%f /run/state) - $(stat --file-system --format=%a /run/state)))"
umount /run/state
cryptsetup close state
"#;

const LOGGED: &str = r#"
open_state "$KEY" --readonly
mkdir -p /run/state
mount -t ext4 -o ro,noload /dev/mapper/state /run/state
result boots "$(find /run/state -name '[0-9]*-[0-9]*.log' -size +0 -printf '%f\n' | cut -d- -f1 | sort -u | wc -l)"
"#;

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.own_copy("machine")?;
    let key = bench.recovery_key()?;
    let found = bench.rescue("fill", &format!("KEY={key}\n{FILL}"), &machine.disk(), None)?;
    let free = found.iter().find_map(|line| line.strip_prefix("free "));
    let free: u64 = free.context("the state was not filled")?.parse()?;
    ensure!(free < 16, "the state was not filled: {found:?}");
    let reserved = found.iter().find_map(|line| line.strip_prefix("reserved "));
    let reserved: u64 = reserved.context("nothing on the reserve")?.parse()?;
    ensure!(reserved > 0, "the state has no reserve: {found:?}");

    let mut running = start(&machine.inhabit(bench.machine("full")))?;
    expect_opened_by_tpm(running.console())?;
    running.console().expect_any(&[PAGE, DEGRADED], &[REFUSED, PANIC], PATIENCE)?;
    let page = Page::read(running.console())?;
    let line = page.line("disk ")?;
    ensure!(line.contains("FULL"), "the page does not say that the state is full: {line}");
    power_off(&mut running)?;

    let task = format!("KEY={key}\n{LOGGED}");
    let found = bench.rescue("logged", &task, &machine.disk_to_look_at(), None)?;
    ensure!(
        found.iter().any(|line| line == "boots 2"),
        "the boot with a full state left no log: {found:?}"
    );
    Ok(())
}
