//! Somebody with the recovery key, and so with every right over the disk, changes the past:
//! a line is edited, the end is cut off, all of it goes.
//! And the whole disk is put back to an earlier day.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{DEGRADED, PAGE, PANIC};

use crate::bench::{Bench, PATIENCE, start};
use crate::installation::Installation;
use crate::log_verdict::Verdict;
use crate::page::power_off;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "log_changes_are_found",
    claim: "A log entry that was edited, a log whose end was cut off, one that was wiped, and a disk that was \
            put back to an earlier day, are found by verifying.",
    class: Class::Default,
    run,
};

/// Opens the state and finds the largest file of the log's that is not of the last boot.
const FIND: &str = r#"
open_state "$KEY"
mkdir -p /run/state
mount -t ext4 /dev/mapper/state /run/state
last=$(find /run/state -name '[0-9]*-[0-9]*.log' -printf '%f\n' | cut -d- -f1 | sort | tail -n 1)
file=$(find /run/state -name '[0-9]*-[0-9]*.log' ! -name "$last-*" -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
[[ -n $file ]] || file=$(find /run/state -name '[0-9]*-[0-9]*.log' -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
lines=$(wc -l < "$file")
middle=$((lines / 2))
[[ $lines -ge 4 ]] || { result too-short "$file" "$lines"; exit 0; }
content() { find /run/state/lib/log -type f -exec sha256sum {} + | sort; }
content > before
"#;

const CLOSE: &str = r#"
content > after
! cmp --quiet before after || { result nothing-changed "$file"; exit 0; }
umount /run/state
cryptsetup close state
result changed "$file"
"#;

/// What is done to a file, by name, in a default run.
const CHANGES: &[(&str, &str)] = &[
    // One character of a text that JSON stays JSON with.
    ("edit", r#"sed -i "${middle}s/[a-z]\(\"[,}]\)/Q\1/" "$file""#),
    (
        "cut-end",
        r#"
file=$(find /run/state -name "$last-*.log" -printf '%s %p\n' | sort -n | tail -n 1 | cut -d' ' -f2-)
lines=$(wc -l < "$file")
sed -i "$((lines - 1)),\$d" "$file"
"#,
    ),
    // As if the log had never been there.
    ("wipe", "rm -rf /run/state/lib/log/*"),
];

/// The other changes.
pub const MORE_CHANGES: &[(&str, &str)] = &[
    ("drop", r#"sed -i "${middle}d" "$file""#),
    ("reorder", r#"sed -i -n "${middle}{h;d};$((middle + 1)){p;x};p" "$file""#),
    ("cut-tail", r#"sed -i "$((lines - 1)),\$d" "$file""#),
    ("remove-file", r#"rm "$file""#),
];

fn run(bench: &Bench) -> Result<()> {
    let machine = machine_with_a_past(bench)?;
    attack(bench, &machine, CHANGES)?;
    put_back(bench, &machine).context("with the disk of an earlier day")
}

/// A machine with a past that verifies.
pub fn machine_with_a_past(bench: &Bench) -> Result<Installation> {
    let machine = bench.later_machine("machine")?;
    for boot in ["first", "second"] {
        let verdict = verify(bench, &machine, boot)?;
        ensure!(
            verdict.is_intact(),
            "an untouched log does not verify: {}",
            verdict.answer
        );
    }
    Ok(machine)
}

/// Makes each change on a copy of its own, and has the log verified.
pub fn attack(bench: &Bench, machine: &Installation, changes: &[(&str, &str)]) -> Result<()> {
    for (name, change) in changes {
        changed(bench, machine, name, change).with_context(|| format!("attack {name}"))?;
    }
    Ok(())
}

/// The disk of an earlier day under a TPM that has gone on.
fn put_back(bench: &Bench, machine: &Installation) -> Result<()> {
    let earlier = machine.copy(&bench.record().join("earlier-machine"))?;
    verify(bench, machine, "later")?;
    let verdict = verify(bench, &machine.with_disk_of(&earlier), "earlier")?;
    ensure!(
        !verdict.is_intact(),
        "the log verifies although its end is gone: {}",
        verdict.answer
    );
    Ok(())
}

fn changed(bench: &Bench, machine: &Installation, name: &str, change: &str) -> Result<()> {
    let copy = machine.copy(&bench.record().join(format!("{name}-machine")))?;
    let task = format!("KEY={}\n{FIND}\n{change}\n{CLOSE}", bench.recovery_key()?);
    let found = bench.rescue(&format!("{name}-workbench"), &task, &copy.disk(), None)?;
    ensure!(
        found.iter().any(|line| line.starts_with("changed ")),
        "nothing was changed: {found:?}"
    );
    let verdict = verify(bench, &copy, name)?;
    ensure!(
        !verdict.is_intact(),
        "the log verifies although it was changed: {}",
        verdict.answer
    );
    Ok(())
}

fn verify(bench: &Bench, machine: &Installation, name: &str) -> Result<Verdict> {
    let mut configuration = machine.inhabit(bench.machine(name));
    configuration.second_line = true;
    let mut running = start(&configuration)?;
    let verdict = Verdict::read(&running)?;
    running.console().expect_any(&[PAGE, DEGRADED], &[PANIC], PATIENCE)?;
    power_off(&mut running)?;
    Ok(verdict)
}
