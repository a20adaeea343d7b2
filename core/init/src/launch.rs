//! Starting and ending the processes of services.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use bastide_config::service::{Namespace, Service};
use bastide_sandbox::{Own, PidNamespace};
use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, Uid, chmodat, chownat, fcntl_getfl, fcntl_setfl,
};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

use crate::groups;
use crate::handover;
use crate::kernel_log::say;
use crate::runtime;
use crate::settings::{STAGE_ARGUMENT, Settings};
use crate::sockets::Sockets;
use crate::state;
use crate::supervisor::Level;
use crate::view::{self, Places};

/// A service that was started.
#[derive(Debug)]
pub struct Launched {
    /// Its main process.
    pub pid: u32,
    /// What it writes, without blocking us.
    pub output: OwnedFd,
}

/// What starting any service takes.
#[derive(Debug)]
pub struct Launcher {
    sockets: Sockets,
    places: Places,
    namespace: PidNamespace,
    landlock: bool,
}

impl Launcher {
    /// Makes the sockets of all services. `landlock`: whether it is enforced.
    ///
    /// # Errors
    /// When PID 1 does not find its own namespace.
    pub fn new<'services>(
        services: impl Iterator<Item = &'services Service> + Clone,
        landlock: bool,
    ) -> Result<Self> {
        Ok(Self {
            places: view::places(services.clone()),
            sockets: Sockets::make(services),
            namespace: PidNamespace::current()?,
            landlock,
        })
    }

    /// Starts a service by way of the stage.
    ///
    /// # Errors
    /// When its control group, a socket of it or its process cannot be made. What goes
    /// wrong in the stage comes out as its output and its exit.
    pub fn start(&self, service: &Service) -> Result<Launched> {
        let sockets = self.sockets.of(&service.name)?;
        state::prepare(service)?;
        runtime::prepare(service)?;
        let group = groups::make(service.name.as_str(), &service.limits)?;
        let settings = Settings::new(service, group, &self.places, self.landlock);
        let input = handover::pack(&settings, &sockets).context("cannot pass the settings on")?;
        let (output, theirs) = pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe")?;
        let flags = fcntl_getfl(&output)?;
        fcntl_setfl(&output, flags | OFlags::NONBLOCK)?;

        let mut command = Command::new("/proc/self/exe");
        command
            .arg(STAGE_ARGUMENT)
            .env_clear()
            .stdin(Stdio::from(input))
            .stdout(Stdio::from(theirs.try_clone()?))
            .stderr(Stdio::from(theirs));
        let own = if service.shares(Namespace::Pid) {
            Own::No
        } else {
            Own::Yes
        };
        let child = self
            .namespace
            .start(own, || command.spawn())?
            .context("cannot start a process")?;
        Ok(Launched {
            pid: child.id(),
            output,
        })
    }
}

/// Asks the main process of a service to end.
pub fn terminate(service: &str, pid: u32) {
    let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) else {
        return;
    };
    match kill_process(pid, Signal::TERM) {
        // It has ended already; its exit is on the way.
        Ok(()) | Err(Errno::SRCH) => {}
        Err(error) => say(
            Level::Warning,
            &format!("cannot ask service {service} to end: {error}"),
        ),
    }
}

/// Ends all processes of a service at once.
pub fn kill(service: &str) {
    if let Err(error) = groups::kill(service) {
        say(
            Level::Error,
            &format!("cannot kill service {service}: {error}"),
        );
    }
}

/// Ends what a service left behind and takes its terminal back.
pub fn clean_up(service: &Service) {
    kill(service.name.as_str());
    if let Some(tty) = &service.tty {
        let path = Path::new("/dev").join(&tty.device);
        let taken = chownat(
            CWD,
            &path,
            Some(Uid::ROOT),
            Some(Gid::ROOT),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .and_then(|()| chmodat(CWD, &path, Mode::RUSR | Mode::WUSR, AtFlags::empty()));
        if let Err(error) = taken {
            say(
                Level::Error,
                &format!("cannot take {} back: {error}", path.display()),
            );
        }
    }
}
