//! What PID 1 passes: sockets and devices, by name (sd_listen_fds(3)).

use std::env;
use std::os::fd::{AsFd, OwnedFd};

use anyhow::{Context, Result, bail, ensure};
use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// The descriptors.
#[derive(Debug, Default)]
pub struct Descriptors {
    /// Listens for PID 1, which passes the output of services on.
    pub intake: Option<OwnedFd>,
    /// The syslog socket.
    pub syslog: Option<OwnedFd>,
    /// The journal socket.
    pub journal: Option<OwnedFd>,
    /// The kernel's log.
    pub kernel: Option<OwnedFd>,
    /// The kernel's audit.
    pub audit: Option<OwnedFd>,
    /// Listens for those who ask.
    pub bus: Option<OwnedFd>,
}

/// Makes a descriptor one that nobody waits for. By fcntl(2): the standard library uses
/// ioctl(2), which the log is not granted.
///
/// # Errors
/// What the kernel says.
pub fn never_wait(descriptor: impl AsFd) -> rustix::io::Result<()> {
    let flags = fcntl_getfl(&descriptor)?;
    fcntl_setfl(&descriptor, flags | OFlags::NONBLOCK)
}

impl Descriptors {
    /// Takes them over. Called before anything else is opened.
    ///
    /// # Errors
    /// When they are not as PID 1 passes them.
    pub fn take() -> Result<Self> {
        let Ok(count) = env::var("LISTEN_FDS") else {
            return Ok(Self::default());
        };
        let count: usize = count.parse().context("LISTEN_FDS is no number")?;
        let names = env::var("LISTEN_FDNAMES").context("LISTEN_FDNAMES is missing")?;
        let names: Vec<&str> = names.split(':').collect();
        ensure!(
            names.len() == count,
            "LISTEN_FDNAMES has {} names for {count} descriptors",
            names.len()
        );
        let passed = bastide_sys::passed::take(count).context("cannot take what is passed")?;
        let mut descriptors = Self::default();
        for (name, descriptor) in names.into_iter().zip(passed) {
            let place = match name {
                "intake" => &mut descriptors.intake,
                "syslog" => &mut descriptors.syslog,
                "journal" => &mut descriptors.journal,
                "kernel" => &mut descriptors.kernel,
                "audit" => &mut descriptors.audit,
                "varlink" => &mut descriptors.bus,
                other => bail!("no use for a descriptor named `{}`", other.escape_debug()),
            };
            ensure!(
                place.replace(descriptor).is_none(),
                "`{name}` is passed twice"
            );
        }
        Ok(descriptors)
    }
}
