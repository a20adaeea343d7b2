//! Runs scenarios, one or a few at a time, and says what became of them.

use std::fs;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use bastide_vm::Accelerator;

use crate::bench::{Bench, PROVISIONED, Places};
use crate::provisioned::Shared;
use crate::scenario::Scenario;

/// How to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where things are.
    pub places: Places,
    /// TCG or KVM.
    pub accelerator: Accelerator,
    /// How many scenarios at once.
    pub jobs: usize,
    /// How long each campaign lasts.
    pub campaign: Duration,
    /// Where random choices start.
    pub seed: u64,
}

/// How many claims held and how many were refuted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Claims that held.
    pub passed: usize,
    /// Claims that were refuted, or could not be tried.
    pub failed: usize,
}

/// Runs `scenarios`, with a line for each on standard output.
pub fn run(scenarios: &[Scenario], plan: &Plan) -> Result<Tally> {
    let next = AtomicUsize::new(0);
    let tally = Mutex::new(Tally::default());
    let shared = Arc::new(Shared::default());
    thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..plan.jobs.clamp(1, scenarios.len().max(1)))
            .map(|_| {
                scope.spawn(|| -> Result<()> {
                    while let Some(scenario) = scenarios.get(next.fetch_add(1, Ordering::Relaxed)) {
                        let held = one(scenario, plan, &shared)?;
                        let mut tally = tally.lock().unwrap_or_else(PoisonError::into_inner);
                        if held {
                            tally.passed += 1;
                        } else {
                            tally.failed += 1;
                        }
                    }
                    Ok(())
                })
            })
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| anyhow!("a worker of the test bench panicked"))??;
        }
        Ok(())
    })?;
    let tally = tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    if tally.failed == 0 {
        clear(&plan.places.reports.join(PROVISIONED))?;
    }
    Ok(tally)
}

fn one(scenario: &Scenario, plan: &Plan, shared: &Arc<Shared>) -> Result<bool> {
    let record = plan.places.reports.join(scenario.name);
    clear(&record)?;
    let bench = Bench::new(
        &plan.places,
        plan.accelerator,
        Arc::clone(shared),
        record.clone(),
        plan.campaign,
        plan.seed,
    );
    let started = Instant::now();
    let result = panic::catch_unwind(AssertUnwindSafe(|| (scenario.run)(&bench)))
        .unwrap_or_else(|_| Err(anyhow!("the scenario itself panicked")));
    let seconds = started.elapsed().as_secs_f64();
    let mut output = std::io::stdout().lock();
    match result {
        Ok(()) => {
            writeln!(output, "ok     {seconds:>6.1} s  {}", scenario.name)?;
            clear(&record)?;
            Ok(true)
        }
        Err(error) => {
            writeln!(output, "FAILED {seconds:>6.1} s  {}", scenario.name)?;
            writeln!(output, "    claim: {}", scenario.claim)?;
            writeln!(output, "    {error:#}")?;
            if record.exists() {
                writeln!(output, "    kept: {}", record.display())?;
            }
            Ok(false)
        }
    }
}

fn clear(record: &Path) -> Result<()> {
    match fs::remove_dir_all(record) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot clear {}", record.display()))
        }
        _ => Ok(()),
    }
}
