//! Control groups (cgroup v2): one for each service, so that nothing a service
//! starts can get away from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bastide_config::service::Limits;
use bastide_ipc::init::Usage;

use crate::kernel_log::say;
use crate::supervisor::Level;

/// The parent of all services' groups; PID 1 itself stays in the root group.
const SERVICES: &str = "/sys/fs/cgroup/services";

/// The period over which a share of a processor is counted, in microseconds.
const CPU_PERIOD: u64 = 100_000;

/// Makes the parent group and hands on the controllers that limits need.
///
/// # Errors
/// When the group cannot be made. A missing controller is a line in the log here,
/// and an error for the service that asks for its limit.
pub fn prepare() -> Result<()> {
    fs::create_dir_all(SERVICES).with_context(|| format!("cannot make {SERVICES}"))?;
    for parent in ["/sys/fs/cgroup", SERVICES] {
        let file = Path::new(parent).join("cgroup.subtree_control");
        for controller in ["+cpu", "+memory", "+pids"] {
            if let Err(error) = fs::write(&file, controller) {
                say(
                    Level::Warning,
                    &format!("control group controller {controller} is missing: {error}"),
                );
            }
        }
    }
    Ok(())
}

/// The folder of a service's group.
pub fn folder(service: &str) -> PathBuf {
    Path::new(SERVICES).join(service)
}

/// Makes the group of a service and sets its limits.
///
/// # Errors
/// When the group or one of the limits asked for cannot be had.
pub fn make(service: &str, limits: &Limits) -> Result<PathBuf> {
    let folder = folder(service);
    match fs::create_dir(&folder) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => {
            return Err(error).with_context(|| format!("cannot make {}", folder.display()));
        }
    }
    let set = |file: &str, value: String| {
        let path = folder.join(file);
        fs::write(&path, value).with_context(|| format!("cannot set {}", path.display()))
    };
    if let Some(mib) = limits.memory_mib {
        let bytes = u64::from(mib).saturating_mul(1024 * 1024);
        set("memory.max", bytes.to_string())?;
        // All or nothing: half of a killed service is of no use.
        set("memory.oom.group", "1".to_owned())?;
        // Memory is memory; a kernel without swap has no such file.
        if folder.join("memory.swap.max").exists() {
            set("memory.swap.max", "0".to_owned())?;
        }
    }
    if let Some(percent) = limits.cpu_percent {
        let share = u64::from(percent).saturating_mul(CPU_PERIOD) / 100;
        set("cpu.max", format!("{share} {CPU_PERIOD}"))?;
    }
    if let Some(processes) = limits.processes {
        set("pids.max", processes.to_string())?;
    }
    Ok(folder)
}

/// What a service uses and has used, as far as its controllers count it.
#[must_use]
pub fn usage(service: &str) -> Option<Usage> {
    let folder = folder(service);
    let number = |file: &str| {
        let text = fs::read_to_string(folder.join(file)).ok()?;
        text.trim().parse::<u64>().ok()
    };
    let processor = fs::read_to_string(folder.join("cpu.stat")).ok()?;
    let memory = number("memory.current")?;
    let statistics = fs::read_to_string(folder.join("memory.stat")).ok()?;
    Some(Usage {
        memory,
        resident: memory.saturating_sub(page_cache(&statistics)?),
        memory_peak: number("memory.peak"),
        processor_us: processor_time(&processor)?,
    })
}

/// How many processes of a service the kernel has killed so far to get memory.
#[must_use]
pub fn memory_kills(service: &str) -> u64 {
    let events = fs::read_to_string(folder(service).join("memory.events"));
    events.map_or(0, |events| memory_kills_in(&events))
}

/// `oom_kill` of memory.events.
fn memory_kills_in(text: &str) -> u64 {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("oom_kill "));
    value
        .and_then(|value| value.trim().parse().ok())
        .unwrap_or(0)
}

/// `file` of memory.stat, less what of it lies in a tmpfs and cannot be dropped, in bytes.
fn page_cache(text: &str) -> Option<u64> {
    let number = |key: &str| {
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key))?;
        value.trim().parse::<u64>().ok()
    };
    number("file ")?.checked_sub(number("shmem ")?)
}

/// `usage_usec` of cpu.stat.
fn processor_time(text: &str) -> Option<u64> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix("usage_usec "))?;
    value.trim().parse().ok()
}

/// Kills every process of a service at once.
///
/// # Errors
/// When the kernel refuses.
pub fn kill(service: &str) -> io::Result<()> {
    fs::write(folder(service).join("cgroup.kill"), "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_cache_is_what_can_be_dropped() {
        let text = "anon 8192\nfile 40960\nkernel 4096\nshmem 8192\nfile_mapped 12288\n";
        assert_eq!(page_cache(text), Some(32768));
        assert_eq!(page_cache("file 1\nshmem 2\n"), None);
        assert_eq!(page_cache("anon 1\n"), None);
    }

    #[test]
    fn processes_killed_for_memory_are_counted() {
        let text = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 4\noom_group_kill 1\n";
        assert_eq!(memory_kills_in(text), 4);
        assert_eq!(memory_kills_in("oom 3\n"), 0);
    }

    #[test]
    fn processor_time_is_found_among_the_rest() {
        let text = "usage_usec 1234\nuser_usec 1000\nsystem_usec 234\n";
        assert_eq!(processor_time(text), Some(1234));
        assert_eq!(processor_time("user_usec 1\n"), None);
        assert_eq!(processor_time("usage_usec x\n"), None);
    }
}
