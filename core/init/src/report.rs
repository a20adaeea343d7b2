//! What PID 1 knows of the boot and the Core, for `GetStatus`.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use bastide_boot::{BOOT_REPORT, BootReport, OpenedBy, StateReport};
use bastide_ipc::init::{
    BootStep, Core, LoaderTimes, Memory, RefusedCandidate, Service, Status, Usage, Volume,
};
use rustix::time::{ClockId, clock_gettime};

use crate::clock;
use crate::groups;
use crate::supervisor::{Moment, Supervisor};

/// Where the state is mounted.
const STATE: &str = "/var";

/// The name of the device-mapper volume that the initramfs makes for the Core.
const CORE_VOLUME: &str = "core";

/// The largest boot report read, in bytes; its parser has the same limit.
const REPORT_LIMIT: u64 = 65 * 1024;

/// What was told at the beginning, and the steps since.
#[derive(Debug)]
pub struct Record {
    boot: Result<BootReport, String>,
    steps: Vec<BootStep>,
}

impl Record {
    /// Reads what the initramfs left. Without it the machine runs all the same,
    /// and says why it cannot tell.
    pub fn new() -> Self {
        let boot = read_report(Path::new(BOOT_REPORT)).map_err(|error| format!("{error:#}"));
        let steps = boot.as_ref().map_or_else(
            |_| Vec::new(),
            |report| {
                let step = |step: &bastide_boot::StepTime| BootStep {
                    name: step.name.clone(),
                    at: step.monotonic,
                };
                report.steps.iter().map(step).collect()
            },
        );
        Self { boot, steps }
    }

    /// Notes that a step is done.
    pub fn step(&mut self, name: &str) {
        self.step_at(name, clock::now());
    }

    /// Notes when a step was done.
    pub fn step_at(&mut self, name: &str, at: Moment) {
        self.steps.push(BootStep {
            name: name.to_owned(),
            at: at.microseconds(),
        });
    }

    /// Everything a status page shows of the Core.
    pub fn status(&self, supervisor: &Supervisor) -> Status {
        let (core, core_unavailable) = match self.core() {
            Ok(core) => (Some(core), None),
            Err(why) => (None, Some(why)),
        };
        let boot = self.boot.as_ref().ok();
        let refused = boot.map_or_else(Vec::new, |report| {
            let show = |refused: &bastide_boot::RefusedCandidate| RefusedCandidate {
                device: refused.device.clone(),
                reason: refused.reason.clone(),
            };
            report.refused.iter().map(show).collect()
        });
        Status {
            state: supervisor.machine_state(),
            ready_at: supervisor.ready_at().map(Moment::microseconds),
            services: services(supervisor),
            init_usage: own_usage(),
            memory: memory(),
            steps: self.steps.clone(),
            loader: boot.map_or_else(LoaderTimes::default, |report| LoaderTimes {
                init: report.loader.init,
                exec: report.loader.exec,
            }),
            core,
            core_unavailable,
            volume: boot.and_then(|report| report.state.as_ref()).map(volume),
            refused,
            previous_failure: boot.and_then(|report| report.previous_failure.clone()),
        }
    }

    fn core(&self) -> Result<Core, String> {
        let report = self.boot.as_ref().map_err(Clone::clone)?;
        // Asked anew each time: corruption shows while the machine runs.
        let now = bastide_verity::status(CORE_VOLUME)
            .map_err(|error| format!("{:#}", anyhow::Error::from(error)))?;
        Ok(Core {
            root_hash: report.core.root_hash.clone(),
            device: report.core.device.clone(),
            verified: !now.corrupted,
            corrected_blocks: now.corrected,
        })
    }
}

/// The encrypted state, as it was opened and as it is now.
fn volume(state: &StateReport) -> Volume {
    let usage = bastide_mount::usage(Path::new(STATE));
    Volume {
        opened_by: match state.opened_by {
            OpenedBy::Tpm => "tpm",
            OpenedBy::RecoveryKey => "recovery-key",
            OpenedBy::Provisioning => "provisioning",
        }
        .to_owned(),
        device: state.device.clone(),
        uuid: state.volume_uuid.clone(),
        cipher: state.cipher.clone(),
        swap: state.swap,
        size: usage.as_ref().ok().map(|usage| usage.size),
        available: usage.as_ref().ok().map(|usage| usage.available),
        read_only: usage.is_ok_and(|usage| usage.read_only),
    }
}

/// The services, and what each uses.
fn services(supervisor: &Supervisor) -> Vec<Service> {
    let mut services = supervisor.services();
    for service in &mut services {
        service.usage = groups::usage(&service.name);
    }
    services
}

/// What PID 1 itself uses: it is in no group whose memory is counted.
fn own_usage() -> Option<Usage> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).ok()?;
    let nanoseconds = u64::try_from(time.tv_nsec).ok()?;
    Some(Usage {
        memory: kibibytes(&status, "VmRSS:")?,
        resident: kibibytes(&status, "RssAnon:")?.saturating_add(kibibytes(&status, "RssShmem:")?),
        memory_peak: kibibytes(&status, "VmHWM:"),
        processor_us: seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanoseconds / 1000),
    })
}

/// The memory of the machine by proc(5)'s meminfo.
fn memory() -> Option<Memory> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let number = |key: &str| kibibytes(&text, key);
    let total = number("MemTotal:")?;
    // What lies in a tmpfs counts as cached there, and cannot be dropped.
    let cache = number("Buffers:")?
        .checked_add(number("Cached:")?)?
        .checked_sub(number("Shmem:")?)?;
    Some(Memory {
        total,
        resident: total.checked_sub(number("MemFree:")?.checked_add(cache)?)?,
    })
}

/// A line such as `VmRSS:      2048 kB` of proc(5)'s status, in bytes.
fn kibibytes(status: &str, key: &str) -> Option<u64> {
    let mut lines = status.lines();
    let value = lines.find_map(|line| line.strip_prefix(key))?;
    let kibibytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kibibytes.checked_mul(1024)
}

fn read_report(path: &Path) -> Result<BootReport> {
    let mut json = Vec::new();
    File::open(path)
        .and_then(|file| file.take(REPORT_LIMIT).read_to_end(&mut json))
        .with_context(|| format!("cannot read {}", path.display()))?;
    BootReport::from_json(&json).with_context(|| format!("cannot understand {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_memory_is_found() {
        assert_eq!(
            kibibytes("Name:\tx\nVmRSS:\t    2048 kB\n", "VmRSS:"),
            Some(2 << 20)
        );
        assert_eq!(kibibytes("VmRSS:\t2048\n", "VmRSS:"), None);
        assert!(own_usage().is_some_and(|usage| usage.memory >= usage.resident));
        assert!(memory().is_some_and(|memory| memory.total > memory.resident));
    }
}
