//! A campaign: the power is cut at random times, again and again on the same disk,
//! variable store and TPM; after every few cuts the machine must come up.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::bench::{Bench, start};
use crate::page::expect_up;
use crate::random::Random;
use crate::report::Report;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "power_cuts_leave_a_bootable_disk",
    claim: "However often and whenever the power is cut, the machine comes up at the next undisturbed \
            boot.",
    class: Class::Long,
    run,
};

/// Cuts between two undisturbed boots.
const CUTS: u32 = 3;

fn run(bench: &Bench) -> Result<()> {
    let root_hash = bench.root_hash()?;
    let owned = bench.own_copy("machine")?;
    let mut report = Report::new("power cuts during boot", bench.seed);
    let mut random = Random::new(bench.seed);
    let mut longest = Duration::from_secs(30);
    let end = Instant::now() + bench.campaign;
    loop {
        let machine = owned.inhabit(bench.machine("machine"));
        for _ in 0..CUTS {
            let mut running = start(&machine)?;
            let after = random.below(u64::try_from(longest.as_millis())?);
            std::thread::sleep(Duration::from_millis(after));
            running.cut_power()?;
            report.count("power cuts");
        }
        let running = start(&machine)?;
        if let Err(error) = expect_up(&running, &root_hash) {
            report.count("boots that failed");
            report.write(bench.reports())?;
            return Err(error).context(format!("after power cuts with seed {}", bench.seed));
        }
        longest = running.uptime() + Duration::from_secs(2);
        report.count("undisturbed boots that came up");
        if Instant::now() > end {
            break;
        }
    }
    report.write(bench.reports())
}
