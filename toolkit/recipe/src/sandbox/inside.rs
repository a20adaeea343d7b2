//! The inner process: process 1 of the sandbox, which becomes the step's shell.

use std::convert::Infallible;
use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;
use nix::sys::stat::{Mode, umask};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::{SandboxError, Spec, tree};

/// What a package manager's or archiver's script expects of "root": to pass over
/// the modes of files it owns. All else is given up, so that no script can
/// remount an input writable.
const KEPT: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL);

/// Builds the tree, gives up privileges and executes the command.
pub(super) fn run(spec: &Spec) -> Result<Infallible, SandboxError> {
    nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|error| {
        SandboxError::Restrict("bind its life to the outer process's", error.into())
    })?;
    // The tree's own directories; the host's mask may forbid entering them.
    umask(Mode::from_bits_truncate(0o022));
    rustix::system::sethostname(spec.host_name.as_bytes())
        .map_err(|error| SandboxError::Restrict("set the host name", error.into()))?;
    rustix::system::setdomainname(b"(none)")
        .map_err(|error| SandboxError::Restrict("set the domain name", error.into()))?;
    // Not together with the outer process: pivot_root(2) would move it as well.
    unshare(CloneFlags::CLONE_NEWNS).map_err(|error| SandboxError::Namespaces(error.into()))?;
    let process = tree::enter(spec)?;
    if spec.user != 0 {
        become_user(spec.user, &process)
            .map_err(|error| SandboxError::Restrict("become another user", error))?;
    }
    restrict().map_err(|error| SandboxError::Restrict("give up its privileges", error))?;
    umask(Mode::from_bits_truncate(spec.umask));
    let (program, arguments) = spec
        .command
        .split_first()
        .ok_or_else(|| SandboxError::Command {
            command: "an empty command".into(),
            source: io::ErrorKind::InvalidInput.into(),
        })?;
    let error = Command::new(program)
        .args(arguments)
        .env_clear()
        .envs(&spec.environment)
        .current_dir(&spec.work)
        .exec();
    Err(SandboxError::Command {
        command: program.clone(),
        source: error,
    })
}

/// Enters one more user namespace, in which all that belonged to root belongs to
/// `user`; the command then runs without any capability. `process` is a writable
/// /proc: the visible one is not.
fn become_user(user: u32, process: &fs::File) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    let own = format!("/proc/self/fd/{}/self", process.as_raw_fd());
    fs::write(format!("{own}/setgroups"), "deny")?;
    fs::write(format!("{own}/uid_map"), format!("{user} 0 1"))?;
    fs::write(format!("{own}/gid_map"), format!("{user} 0 1"))
}

fn restrict() -> io::Result<()> {
    for capability in CapabilitySet::all().iter() {
        if KEPT.contains(capability) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // One that this kernel does not know.
            Ok(()) | Err(rustix::io::Errno::INVAL) => {}
            Err(error) => return Err(error.into()),
        }
    }
    rustix::thread::clear_ambient_capability_set()?;
    rustix::thread::set_capabilities(
        None,
        CapabilitySets {
            effective: KEPT,
            permitted: KEPT,
            inheritable: CapabilitySet::empty(),
        },
    )?;
    nix::sys::prctl::set_no_new_privs()?;
    // Otherwise the session's terminal would be reachable as /dev/tty.
    rustix::process::setsid()?;
    Ok(())
}
