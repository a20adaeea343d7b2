//! The terminal of a service.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, fcntl_getfl, fcntl_setfl, open};
use rustix::process::ioctl_tiocsctty;
use rustix::stdio::{dup2_stdin, dup2_stdout, stdin};
use rustix::termios::isatty;

/// Opens the terminal as root, gives it to the user, and makes it the session's
/// and our standard input and output. Standard error stays with PID 1, so that
/// messages do not end up in the middle of a page.
pub(super) fn take(path: &Path, uid: u32) -> Result<()> {
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
