//! The stage between PID 1 and a service's program.
//!
//! PID 1 starts itself anew with [`crate::settings::STAGE_ARGUMENT`]; this process reads its
//! settings, takes everything away from itself that the service does not get, and
//! becomes the service's program. It is a process of its own, and not a hook
//! between fork and exec, because it then may allocate and report errors like any
//! program, needs no `unsafe`, and is where the sandbox of a service belongs.
//!
//! Each step is checked; one that fails ends the stage, never starts the program.

use std::env;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Error, Result, ensure};
use nix::sys::signal::SigSet;
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, fcntl_getfl, fcntl_setfl, open};
use rustix::process::{
    Resource, Rlimit, chdir, getpid, getsid, ioctl_tiocsctty, setrlimit, setsid, umask,
};
use rustix::stdio::{dup2_stdin, dup2_stdout, stdin};
use rustix::termios::isatty;
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities,
    capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, no_new_privs, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::settings::{Limited, SIZE_LIMIT, Settings};

/// The exit status of a stage that could not start its program, as in systemd.exec(5).
pub const FAILED: u8 = 203;

/// Becomes the service's program.
///
/// # Errors
/// The step that failed; on success this does not return.
pub fn run() -> Result<Error> {
    let settings = read_settings()?;
    fs::write(&settings.group, "0").context("cannot join the control group")?;
    let session = setsid().context("cannot make a session")?;
    ensure!(getsid(None)? == session, "the session is not our own");
    match &settings.tty {
        Some(tty) => take_terminal(tty, settings.uid)
            .with_context(|| format!("cannot take {}", tty.display()))?,
        None => {
            let nothing = File::open("/dev/null").context("cannot open /dev/null")?;
            dup2_stdin(nothing.as_fd())?;
        }
    }
    // PID 1 blocks signals to read them as messages; that is inherited.
    SigSet::empty()
        .thread_set_mask()
        .context("cannot unblock signals")?;
    umask(Mode::from_raw_mode(0o077));
    chdir("/").context("cannot go to /")?;
    limit(&settings)?;
    drop_privileges(&settings).context("cannot drop privileges")?;
    check_descriptors()?;

    let mut command = Command::new(&settings.program);
    command
        .args(&settings.arguments)
        .env_clear()
        .envs(&settings.environment);
    let error = command.exec();
    Ok(Error::new(error).context(format!("cannot execute {}", settings.program.display())))
}

fn read_settings() -> Result<Settings> {
    let mut json = Vec::new();
    io::stdin()
        .lock()
        .take(SIZE_LIMIT)
        .read_to_end(&mut json)
        .context("cannot read the settings")?;
    serde_json::from_slice(&json).context("cannot understand the settings")
}

/// Opens the terminal as root, gives it to the user, and makes it the session's
/// and our standard input and output. Standard error stays with PID 1, so that
/// messages do not end up in the middle of a page.
fn take_terminal(path: &Path, uid: u32) -> Result<()> {
    // Without NONBLOCK, opening a serial line waits for a carrier.
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let terminal = open(path, flags, Mode::empty())?;
    ensure!(isatty(&terminal), "it is no terminal");
    fchown(
        &terminal,
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(uid)),
    )?;
    fchmod(&terminal, Mode::RUSR | Mode::WUSR)?;
    let flags = fcntl_getfl(&terminal)?;
    fcntl_setfl(&terminal, flags - OFlags::NONBLOCK)?;
    ioctl_tiocsctty(&terminal).context("cannot make it the session's terminal")?;
    dup2_stdin(&terminal)?;
    dup2_stdout(&terminal)?;
    ensure!(isatty(stdin()), "standard input is no terminal");
    Ok(())
}

fn limit(settings: &Settings) -> Result<()> {
    let both = |value| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    // A core dump would carry what a service keeps in memory to a disk.
    setrlimit(Resource::Core, both(0)).context("cannot rule out core dumps")?;
    for (limited, value) in &settings.resources {
        let resource = match limited {
            Limited::OpenFiles => Resource::Nofile,
            Limited::FileSize => Resource::Fsize,
            Limited::AddressSpace => Resource::As,
            Limited::LockedMemory => Resource::Memlock,
        };
        setrlimit(resource, both(*value)).with_context(|| format!("cannot limit {limited:?}"))?;
    }
    Ok(())
}

fn drop_privileges(settings: &Settings) -> Result<()> {
    let kept = CapabilitySet::from_bits_retain(settings.capabilities);
    empty_bounding_set(kept)?;

    // No program regains anything by being root, or by becoming another user.
    let mut bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    if !kept.is_empty() {
        bits |= CapabilitiesSecureBits::KEEP_CAPS;
    }
    set_capabilities_secure_bits(bits).context("cannot set the secure bits")?;

    let user = Uid::from_raw(settings.uid);
    let group = Gid::from_raw(settings.uid);
    set_thread_groups(&[]).context("cannot leave the supplementary groups")?;
    set_thread_res_gid(group, group, group).context("cannot change the group")?;
    set_thread_res_uid(user, user, user).context("cannot change the user")?;

    let wanted = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: kept,
    };
    set_capabilities(None, wanted).context("cannot set the capabilities")?;
    clear_ambient_capability_set().context("cannot empty the ambient capabilities")?;
    for capability in kept.iter() {
        configure_capability_in_ambient_set(capability, true)
            .with_context(|| format!("cannot keep {capability:?}"))?;
    }
    set_no_new_privs(true).context("cannot rule out new privileges")?;

    ensure!(capabilities(None)? == wanted, "other capabilities are left");
    ensure!(no_new_privs()?, "new privileges are not ruled out");
    let left = rustix::process::getuid() == user && rustix::process::geteuid() == user;
    ensure!(left, "the user has not changed");
    Ok(())
}

/// Takes every capability that the kernel knows out of the bounding set, but those kept.
fn empty_bounding_set(kept: CapabilitySet) -> Result<()> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // The kernel answers EINVAL past the last one it has.
        let Ok(present) = capability_is_in_bounding_set(capability) else {
            ensure!(number > 0, "the kernel knows no capabilities");
            break;
        };
        if present && !kept.contains(capability) {
            remove_capability_from_bounding_set(capability)
                .with_context(|| format!("cannot give capability {number} up"))?;
        }
    }
    Ok(())
}

/// Makes sure that the program gets its three descriptors and no other one.
fn check_descriptors() -> Result<()> {
    let folder = format!("/proc/{}/fdinfo", getpid().as_raw_nonzero());
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
        let entry = entry?;
        let number: u32 = entry
            .file_name()
            .to_string_lossy()
            .parse()
            .context("a descriptor that is no number")?;
        // The listing itself shows up in the listing, gone by the time it is read.
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        ensure!(
            number < 3 || closes_on_exec(&text),
            "descriptor {number} would reach the program"
        );
    }
    Ok(())
}

/// Reads the open flags of proc(5)'s fdinfo, in octal.
fn closes_on_exec(text: &str) -> bool {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    text.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & CLOSE_ON_EXEC != 0)
}

/// Whether this process was started as the stage.
pub fn is_asked_for() -> bool {
    env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == crate::settings::STAGE_ARGUMENT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_told_apart() {
        assert!(closes_on_exec("pos:\t0\nflags:\t02100000\nmnt_id:\t1\n"));
        assert!(!closes_on_exec("pos:\t0\nflags:\t0100002\nmnt_id:\t1\n"));
        assert!(!closes_on_exec("pos:\t0\n"));
        assert!(!closes_on_exec("flags:\tnonsense\n"));
    }
}
