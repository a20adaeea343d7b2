//! One bit at a time is turned over in the headers, in dm-integrity's own superblock, in a
//! tag and in a sector. What is read on a machine with standard tools is an error or what
//! was written; what boots either has found a good copy or refuses.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{PAGE, PANIC, PROVISIONING, RECOVERY_PROMPT, STATE_REFUSED};

use crate::bench::{Bench, PATIENCE, start};
use crate::installation::Installation;
use crate::scenario::{Class, Scenario};
use crate::state::{Part, State};

pub const SCENARIO: Scenario = Scenario {
    name: "flipped_bits_in_state_are_errors",
    claim: "A flipped bit in the state's headers is survived by the second copy or refused; one in a \
            sector or in its tag is a read error, never data.",
    class: Class::Default,
    run,
};

/// Blocks far from everything that a boot writes, to be spoilt one by one.
const SECTOR: u64 = 30_001;
const TAG: u64 = 30_003;

/// Empties the journal, which would repair what it has a copy of: dm-integrity does that
/// when it is closed after something was written.
const SETTLE: &str = r#"
open_state "$KEY"
dd if=/dev/mapper/state of=block bs=4096 count=1 status=none
dd if=block of=/dev/mapper/state bs=4096 count=1 conv=fsync status=none
cryptsetup close state
result settled
"#;

/// Reads spoilt blocks and their neighbours.
const READ: &str = r#"
open_state "$KEY" --readonly
for block in $BLOCKS; do
    if dd if=/dev/mapper/state of=/dev/null bs=4096 count=1 skip="$block" iflag=direct status=none; then
        result "$block" data
    else
        result "$block" error
    fi
done
"#;

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.own_copy("machine")?;
    let key = bench.recovery_key()?;
    bench.rescue("settle", &format!("KEY={key}\n{SETTLE}"), &machine.disk(), None)?;
    spoilt_blocks_are_errors(bench, &machine, &key)?;

    for (name, parts, may_come_up) in [
        ("first-header", &[Part::FirstHeader][..], true),
        ("second-header", &[Part::SecondHeader], true),
        ("both-headers", &[Part::FirstHeader, Part::SecondHeader], false),
        ("keyslot", &[Part::Keyslot], false),
        ("superblock", &[Part::Superblock], false),
        ("first-tag", &[Part::FirstTag], false),
        ("first-sector", &[Part::FirstSector], false),
    ] {
        with_flipped(bench, &machine, name, parts, may_come_up)
            .with_context(|| format!("with a bit of {name} flipped"))?;
    }
    Ok(())
}

fn spoilt_blocks_are_errors(bench: &Bench, machine: &Installation, key: &str) -> Result<()> {
    let disk = machine.open_disk()?;
    let state = State::new(&disk)?;
    let (segment, layout) = (state.segment()?, state.layout()?);
    let flips = [
        segment + layout.block_at(SECTOR) + 77,
        segment + layout.tag_at(TAG) + 1,
    ];
    for offset in flips {
        disk.flip_bit(offset, 5)?;
    }
    let blocks = SECTOR - 1..=TAG + 1;
    let list: Vec<String> = blocks.clone().map(|block| block.to_string()).collect();
    let task = format!("KEY={key}\nBLOCKS='{}'\n{READ}", list.join(" "));
    let found = bench.rescue("read", &task, &machine.disk_to_look_at(), None)?;
    for block in blocks {
        let expected = if [SECTOR, TAG].contains(&block) { "error" } else { "data" };
        let line = format!("{block} {expected}");
        ensure!(found.contains(&line), "expected {line:?} in {found:?}");
    }
    // As they were, so that each of the following boots has one fault only.
    for offset in flips {
        disk.flip_bit(offset, 5)?;
    }
    Ok(())
}

fn with_flipped(
    bench: &Bench,
    machine: &Installation,
    name: &str,
    parts: &[Part],
    may_come_up: bool,
) -> Result<()> {
    let spoilt = machine.lend(&bench.record().join(format!("{name}-machine")))?;
    let disk = spoilt.open_disk()?;
    let state = State::new(&disk)?;
    // Before any is flipped: a place is found by what the headers say.
    let offsets: Vec<u64> = parts.iter().map(|part| state.offset(*part)).collect::<Result<_>>()?;
    let flip = || offsets.iter().try_for_each(|offset| disk.flip_bit(*offset, 2));
    flip()?;
    let running = start(&spoilt.inhabit(bench.machine(name)))?;
    let shut = [STATE_REFUSED, RECOVERY_PROMPT];
    let up = [PAGE];
    let (wanted, mut unwanted) = if may_come_up {
        ([&shut[..], &up].concat(), vec![])
    } else {
        (shut.to_vec(), up.to_vec())
    };
    unwanted.extend([PROVISIONING, PANIC]);
    running.console().expect_any(&wanted, &unwanted, PATIENCE)?;
    drop(running);
    // The disk was only lent.
    flip()
}
