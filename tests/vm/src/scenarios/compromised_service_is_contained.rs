//! Services that somebody has taken over try what they were not granted. A service that
//! was granted the same does it, which shows that the tries are good for something.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{DEGRADED, PAGE, PANIC, REFUSED};

use crate::bench::{Bench, PATIENCE, start};
use crate::hostile::{Outcome, Outcomes, outcomes};
use crate::page::{Page, power_off};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "compromised_service_is_contained",
    claim: "A service that was taken over reaches no file, network, process, mount, device, system call, \
            executable memory or method that it was not granted, and takes no more than its share.",
    class: Class::Default,
    run,
};

/// What `hostile-granted` was granted; its other tries must be refused.
const GRANTED: &[&str] = &[
    "read=/sys/class/tpm/tpm0/pcr-sha256/11",
    "write-into=/var/lib/hostile-granted",
    "write-into=/run/hostile-granted",
    "open=/dev/tpmrm0",
    "call=org.bastide.Init.GetStatus",
    "netlink-socket",
    "internet-socket",
    "clock",
    "ptrace-child",
    "personality",
    "unseal-record",
    // What becomes of it is another scenario's business.
    "log-forge",
];

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.trial_machine("machine")?;
    let mut configuration = machine.inhabit(bench.machine("machine"));
    configuration.second_line = true;
    let mut running = start(&configuration)?;
    running
        .console()
        .expect_any(&[PAGE, DEGRADED], &[REFUSED, PANIC], PATIENCE)?;
    let line = running.second_line();

    for service in ["hostile", "hostile-caller"] {
        let tried = outcomes(line, service, PATIENCE)?;
        all_refused(service, &tried)?;
        ensure!(tried.len() > 30, "{service} tried only {} things", tried.len());
    }
    let granted = outcomes(line, "hostile-granted", PATIENCE)?;
    for name in GRANTED {
        let outcome = granted.get(*name).with_context(|| format!("{name} was not tried"))?;
        ensure!(
            *outcome == Outcome::Succeeded,
            "what was granted is refused: {name}: {outcome:?}"
        );
    }
    let others: Outcomes = granted
        .into_iter()
        .filter(|(name, _)| !GRANTED.contains(&name.as_str()))
        .collect();
    all_refused("hostile-granted", &others)?;

    all_refused("hostile-bomb", &outcomes(line, "hostile-bomb", PATIENCE)?)?;
    all_refused("hostile-filler", &outcomes(line, "hostile-filler", PATIENCE)?)?;
    // The hog may have been ended with its try: then the page says so.
    let hog = outcomes(line, "hostile-hog", std::time::Duration::from_secs(60));
    let page = Page::read(running.console()).context("the machine does not answer any more")?;
    match hog {
        Ok(tried) => all_refused("hostile-hog", &tried)?,
        Err(_) => {
            page.line("hostile-hog failed").context("the hog lives")?;
        }
    }
    let instrumented = page.line("instrumented")?;
    ensure!(
        !instrumented.contains("Instrumented no") && page.text().contains("+instrumented"),
        "the page hides that this image is instrumented: {instrumented}"
    );
    power_off(&mut running)
}

fn all_refused(service: &str, tried: &Outcomes) -> Result<()> {
    let succeeded: Vec<&str> = tried
        .iter()
        .filter(|(_, outcome)| **outcome == Outcome::Succeeded)
        .map(|(name, _)| name.as_str())
        .collect();
    ensure!(succeeded.is_empty(), "{service} succeeded with {}", succeeded.join(", "));
    ensure!(!tried.is_empty(), "{service} tried nothing");
    Ok(())
}
