//! The outer process: leaves the host's namespaces, starts the inner one, reports
//! what it took.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;

use super::{STAGE, SandboxError, Spec, Usage};

/// Runs the inner process to its end and gives its exit code.
pub(super) fn run(spec: &Spec, path: &Path) -> Result<u8, SandboxError> {
    // Before anything else: an engine that dies takes the sandbox with it.
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL)
        .map_err(|error| SandboxError::Restrict("bind its life to the engine's", error.into()))?;
    let user = nix::unistd::geteuid();
    let group = nix::unistd::getegid();
    unshare(
        CloneFlags::CLONE_NEWUSER
            | CloneFlags::CLONE_NEWNET
            | CloneFlags::CLONE_NEWIPC
            | CloneFlags::CLONE_NEWUTS
            | CloneFlags::CLONE_NEWPID
            | CloneFlags::CLONE_NEWCGROUP,
    )
    .map_err(|error| SandboxError::Namespaces(error.into()))?;
    // One user is all that exists inside; without `deny` an ordinary user may not
    // write a group map (user_namespaces(7)).
    for (file, text) in [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("0 {user} 1")),
        ("/proc/self/gid_map", format!("0 {group} 1")),
    ] {
        std::fs::write(file, text).map_err(SandboxError::Namespaces)?;
    }
    let start = |source: io::Error| SandboxError::Command {
        command: "the inner process".into(),
        source,
    };
    // Arguments before the description (a hidden subcommand) stay the same.
    let status = Command::new("/proc/self/exe")
        .args(std::env::args_os().skip(1))
        .env(STAGE, "inside")
        .status()
        .map_err(start)?;
    let used = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|error| start(error.into()))?;
    let seconds =
        |time: nix::sys::time::TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6;
    let usage = Usage {
        // The kernel counts in KiB.
        largest_process: u64::try_from(used.max_rss()).unwrap_or(0) * 1024,
        processor_seconds: seconds(used.user_time()) + seconds(used.system_time()),
    };
    let text = serde_json::to_vec(&usage).map_err(|error| SandboxError::Spec {
        path: path.to_owned(),
        source: error.into(),
    })?;
    std::fs::write(&spec.usage, text).map_err(|source| SandboxError::Tree {
        action: "write",
        path: spec.usage.clone(),
        source,
    })?;
    Ok(match (status.code(), status.signal()) {
        (Some(code), _) => u8::try_from(code).unwrap_or(u8::MAX),
        (None, Some(signal)) => 128u8.saturating_add(u8::try_from(signal).unwrap_or(127)),
        (None, None) => u8::MAX,
    })
}
