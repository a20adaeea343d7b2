//! A campaign: random bits of boot partition and Core are turned over, a few in each
//! round, and the disk is booted.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use bastide_vm::signs::{NOTHING_BOOTS, PAGE, PANIC, REFUSED};

use crate::bench::{Bench, PATIENCE, start};
use crate::core_area::CoreArea;
use crate::disk_copy::DiskCopy;
use crate::page::expect_up;
use crate::random::Random;
use crate::report::Report;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "bit_flips_are_repaired_or_refused",
    claim: "Random bit flips in boot partition and Core end in the right Core running or in a refusal.",
    class: Class::Long,
    run,
};

/// What may end a boot of a damaged disk, besides the status page: our refusal, the
/// firmware's, the boot loader's, and the kernel's when it cannot unpack or start.
const REFUSALS: &[&str] = &[REFUSED, NOTHING_BOOTS, "Access denied", "Access Denied", PANIC];

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    let mut report = Report::new("random bit flips", bench.seed);
    let end = Instant::now() + bench.campaign;
    let mut seed = bench.seed;
    loop {
        let owned = bench.own_copy("flipped")?;
        let disk = owned.open_disk()?;
        let flips = flip(bench, &disk, &mut Random::new(seed), &mut report)?;
        let machine = start(&owned.inhabit(bench.machine("machine")))?;
        let ends = [&[PAGE], REFUSALS].concat();
        let seen = machine.console().expect_any(&ends, &[], PATIENCE);
        let outcome = match seen {
            Ok(seen) if seen.index > 0 => "refused",
            // The page has just been seen: nudge it to show itself again, and judge it.
            Ok(seen) => {
                ensure!(
                    seen.text.contains("bastide: core ") && seen.text.contains("verified on"),
                    "seed {seed}: a status page without a verified Core"
                );
                machine.console().send(" ")?;
                expect_up(&machine, &root_hash).with_context(|| format!("seed {seed}"))?;
                if seen.text.contains("repaired (corrected blocks: ") {
                    "repaired"
                } else {
                    "unaffected"
                }
            }
            Err(error) => {
                report.count("neither up nor refused");
                report.write(bench.reports())?;
                return Err(error).context(format!("seed {seed}, flips at {flips:?}"));
            }
        };
        report.count(outcome);
        report.note(seed, outcome);
        seed += 1;
        if Instant::now() > end {
            break;
        }
    }
    report.write(bench.reports())?;
    // A last word that the bench itself is sound: the disk as it was still comes up.
    let machine = start(&bench.provisioned_machine("untouched")?)?;
    expect_up(&machine, &root_hash).map(drop)
}

/// Turns one to eight bits over: in the Core (file system, tree and parity) or in the
/// first megabytes of the boot partition, where its files are.
fn flip(bench: &Bench, disk: &DiskCopy, random: &mut Random, report: &mut Report) -> Result<Vec<u64>> {
    let core = CoreArea::new(bench, disk)?;
    let boot = disk.boot_partition()?;
    let used = std::fs::metadata(bench.image("bastide.efi"))?.len() * 2;
    let in_core = random.below(2) == 0;
    let (start, length) = if in_core {
        (core.start(), core.geometry().size())
    } else {
        (boot.start, used.min(boot.length))
    };
    let mut flips = Vec::new();
    for _ in 0..=random.below(8) {
        let offset = start + random.below(length);
        disk.flip_bit(offset, u8::try_from(random.below(8))?)?;
        flips.push(offset);
        report.count(if in_core { "bits flipped in the Core" } else { "bits flipped in the boot partition" });
    }
    Ok(flips)
}
