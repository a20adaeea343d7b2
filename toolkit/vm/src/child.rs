//! Processes that do not outlive us.

use std::io;
use std::process::{Child, Command};

/// A command that the kernel kills when the thread that starts it ends.
///
/// `setpriv` sets the parent-death signal, because setting it between fork and
/// exec would need unsafe code; it is part of util-linux, which Debian always has.
pub(crate) fn bound_to_us(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", program]);
    command
}

/// A child that is killed, and reaped, when dropped.
#[derive(Debug)]
pub(crate) struct Owned(pub(crate) Child);

impl Owned {
    /// Kills it at once; a child that already ended is fine.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        if self.0.try_wait()?.is_none() {
            self.0.kill()?;
        }
        self.0.wait().map(drop)
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!(
                "warning: process {} could not be ended: {error}",
                self.0.id()
            );
        }
    }
}
