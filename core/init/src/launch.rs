//! Starting and ending the processes of services.

use std::fs::File;
use std::io::{Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use bastide_config::service::Service;
use rustix::fs::{
    AtFlags, CWD, Gid, MemfdFlags, Mode, OFlags, Uid, chmodat, chownat, fcntl_getfl, fcntl_setfl,
    memfd_create,
};
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Signal, kill_process};

use crate::groups;
use crate::kernel_log::say;
use crate::settings::{STAGE_ARGUMENT, Settings};
use crate::supervisor::Level;

/// A service that was started.
#[derive(Debug)]
pub struct Launched {
    /// Its main process.
    pub pid: u32,
    /// What it writes, without blocking us.
    pub output: OwnedFd,
}

/// Starts a service by way of the stage.
///
/// # Errors
/// When its control group or its process cannot be made. What goes wrong in the
/// stage comes out as its output and its exit.
pub fn start(service: &Service) -> Result<Launched> {
    let group = groups::make(service.name.as_str(), &service.limits)?;
    let settings = Settings::new(service, group).to_json()?;
    let input = in_memory(&settings).context("cannot pass the settings on")?;
    let (output, theirs) = pipe_with(PipeFlags::CLOEXEC).context("cannot make a pipe")?;
    let flags = fcntl_getfl(&output)?;
    fcntl_setfl(&output, flags | OFlags::NONBLOCK)?;

    let child = Command::new("/proc/self/exe")
        .arg(STAGE_ARGUMENT)
        .env_clear()
        .stdin(Stdio::from(input))
        .stdout(Stdio::from(theirs.try_clone()?))
        .stderr(Stdio::from(theirs))
        .spawn()
        .context("cannot start a process")?;
    Ok(Launched {
        pid: child.id(),
        output,
    })
}

/// A file that has no name, at its beginning. Unlike a pipe it takes all of the
/// settings at once, so that PID 1 never waits for the stage to read.
fn in_memory(content: &[u8]) -> Result<File> {
    let mut file = File::from(memfd_create("settings", MemfdFlags::CLOEXEC)?);
    file.write_all(content)?;
    file.rewind()?;
    Ok(file)
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
