//! The stage between PID 1 and a service's program.
//!
//! PID 1 starts itself anew with [`crate::settings::STAGE_ARGUMENT`]; this process
//! takes everything away from itself that the service does not get, and becomes the
//! service's program. It is a process of its own, and not a hook between fork and
//! exec, because it then may allocate and report errors like any program, and needs
//! no `unsafe`.
//!
//! The order matters. What needs to be root comes first, the root of the sandbox
//! before it is looked at, Landlock and the system-call filter last, because they
//! forbid the rest. Nothing of the service runs before all of it holds. Each step is
//! checked; one that fails ends the stage, never starts the program.

mod descriptors;
mod privileges;
mod terminal;

use std::convert::Infallible;
use std::env;
use std::ffi::CString;
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bastide_landlock::{Restriction, Unrestricted};
use bastide_sandbox::{Root, unshare};
use bastide_seccomp::{Filters, Policy};
use bastide_sys::keys::join_new_session_keyring;
use bastide_sys::memory::refuse_executable_gain;
use nix::sys::signal::SigSet;
use nix::unistd::execve;
use rustix::fs::Mode;
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::process::{getsid, setsid, umask};
use rustix::stdio::dup2_stdin;

use crate::handover;
use crate::settings::Settings;
use crate::view;

/// The exit status of a stage that could not start its program, as in systemd.exec(5).
pub const FAILED: u8 = 203;

/// What the root of the sandbox is made on: nothing that a service sees comes from there.
const PLACE: &str = "/tmp";

/// Becomes the service's program.
///
/// # Errors
/// The step that failed; on success this does not return.
pub fn run() -> Result<Infallible> {
    let (settings, sockets) = handover::unpack()?;
    let image = Image::new(&settings)?;
    let filters = Filters::new(&Policy {
        calls: settings.calls.clone(),
        families: settings.families.clone(),
    })?;
    fs::write(&settings.group, "0").context("cannot join the control group")?;
    let session = setsid().context("cannot make a session")?;
    ensure!(getsid(None)? == session, "the session is not our own");
    match &settings.tty {
        Some(tty) => terminal::take(tty, settings.uid)
            .with_context(|| format!("cannot take {}", tty.display()))?,
        None => {
            let nothing = File::open("/dev/null").context("cannot open /dev/null")?;
            dup2_stdin(nothing.as_fd())?;
        }
    }
    enter_root(&settings)?;
    privileges::limit(&settings)?;
    refuse_executable_gain().context("cannot rule out executable memory")?;
    let restriction = restriction(&settings)?;
    privileges::drop_privileges(&settings).context("cannot drop privileges")?;
    join_new_session_keyring().context("cannot make a keyring")?;
    for socket in &sockets {
        fcntl_setfd(socket, FdFlags::empty()).context("cannot pass a socket on")?;
    }
    descriptors::check(3 + sockets.len())?;
    // PID 1 blocks signals to read them as messages; that is inherited.
    SigSet::empty()
        .thread_set_mask()
        .context("cannot unblock signals")?;

    if let Some(restriction) = restriction {
        restriction.enforce()?;
    }
    filters.load()?;
    image.execute()
}

/// Namespaces, and the root with what the service sees.
fn enter_root(settings: &Settings) -> Result<()> {
    unshare(&settings.namespaces)?;
    // Directories on the way to what is seen must let the service through.
    umask(Mode::from_raw_mode(0o022));
    let root = Root::begin(Path::new(PLACE), settings.uid)?;
    root.put(&settings.items)?;
    root.enter()?;
    umask(Mode::from_raw_mode(0o077));
    Ok(())
}

fn restriction(settings: &Settings) -> Result<Option<Restriction>> {
    if !settings.landlock {
        return Ok(None);
    }
    let rules = view::rules(&settings.items, &settings.program, Path::exists);
    let unrestricted = Unrestricted {
        network: settings.network,
        signals: settings.signals,
    };
    Ok(Some(Restriction::new(&rules, unrestricted)?))
}

/// The program as execve(2) takes it, made while there still is memory to be had for
/// sure and nothing is forbidden.
struct Image {
    program: CString,
    arguments: Vec<CString>,
    environment: Vec<CString>,
}

impl Image {
    fn new(settings: &Settings) -> Result<Self> {
        let text = |text: &[u8]| CString::new(text).context("a NUL in the settings");
        let program = text(settings.program.as_os_str().as_bytes())?;
        let mut arguments = vec![program.clone()];
        for argument in &settings.arguments {
            arguments.push(text(argument.as_bytes())?);
        }
        // With a namespace of its own the service is its first process, as we are now.
        let environment = settings.environment_of(std::process::id());
        let environment = environment.iter().map(|entry| text(entry.as_bytes()));
        Ok(Self {
            program,
            arguments,
            environment: environment.collect::<Result<_>>()?,
        })
    }

    /// Not `std::process::Command`: it does more system calls than this one, which the
    /// filter may forbid by now.
    fn execute(&self) -> Result<Infallible> {
        execve(&self.program, &self.arguments, &self.environment)
            .with_context(|| format!("cannot execute {}", self.program.to_string_lossy()))
    }
}

/// Whether this process was started as the stage.
pub fn is_asked_for() -> bool {
    env::args_os()
        .nth(1)
        .is_some_and(|argument| argument == crate::settings::STAGE_ARGUMENT)
}
