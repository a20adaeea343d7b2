//! Control groups (cgroup v2): one for each service, so that nothing a service
//! starts can get away from it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bastide_config::service::Limits;

use crate::kernel_log::say;
use crate::supervisor::Level;

/// The parent of all services' groups; PID 1 itself stays in the root group.
const SERVICES: &str = "/sys/fs/cgroup/services";

/// Makes the parent group and hands on the controllers that limits need.
///
/// # Errors
/// When the group cannot be made. A missing controller is a line in the log here,
/// and an error for the service that asks for its limit.
pub fn prepare() -> Result<()> {
    fs::create_dir_all(SERVICES).with_context(|| format!("cannot make {SERVICES}"))?;
    for parent in ["/sys/fs/cgroup", SERVICES] {
        let file = Path::new(parent).join("cgroup.subtree_control");
        for controller in ["+memory", "+pids"] {
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
    }
    if let Some(processes) = limits.processes {
        set("pids.max", processes.to_string())?;
    }
    Ok(folder)
}

/// Kills every process of a service at once.
///
/// # Errors
/// When the kernel refuses.
pub fn kill(service: &str) -> io::Result<()> {
    fs::write(folder(service).join("cgroup.kill"), "1")
}
