//! Other processes, and many of its own.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::process::{Child, Command};

use anyhow::{Result, bail};
use nix::errno::Errno;
use nix::sys::ptrace;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::{Pid, Uid, setuid};

use crate::report::LINE;

/// The highest process id of a machine that has just started.
const PROCESSES: i32 = 4096;

/// Far more processes than any service is granted.
const BOMB: usize = 600;

/// Takes hold of the first process that it can name.
pub fn ptrace_init() -> Result<()> {
    let init = Pid::from_raw(1);
    ptrace::attach(init)?;
    waitpid(init, None)?;
    Ok(ptrace::detach(init, None)?)
}

/// What the test bench says when PID 1 shall crash.
const WORD: &str = "crash";

/// Sends PID 1 the signal of a wrong access to memory, once the test bench says so.
pub fn crash_init() -> Result<()> {
    for line in BufReader::new(File::open(LINE)?).lines() {
        if line?.trim() == WORD {
            return Ok(kill(Pid::from_raw(1), Signal::SIGSEGV)?);
        }
    }
    bail!("the test bench hung up");
}

/// Takes hold of a child, as a debugger does.
pub fn ptrace_child() -> Result<()> {
    let mut child = sleeper()?;
    let pid = Pid::from_raw(i32::try_from(child.id())?);
    let traced = ptrace::seize(pid, ptrace::Options::empty());
    end(&mut child)?;
    Ok(traced?)
}

/// Whether a signal would reach another user's process; none is sent.
pub fn signal_others() -> Result<()> {
    let mut refusal = Errno::ESRCH;
    for number in 1..PROCESSES {
        // Its own, those included that a try before this one left behind.
        if is_ours(number) {
            continue;
        }
        match kill(Pid::from_raw(number), None) {
            Ok(()) => return Ok(()),
            Err(Errno::ESRCH) => {}
            Err(error) => refusal = error,
        }
    }
    Err(refusal.into())
}

fn is_ours(number: i32) -> bool {
    let process = fs::metadata(format!("/proc/{number}"));
    process.is_ok_and(|process| process.uid() == Uid::current().as_raw())
}

/// Whether /proc shows any process of another program.
pub fn see_others() -> Result<()> {
    for entry in fs::read_dir("/proc")? {
        let path = entry?.path();
        let Ok(name) = fs::read_to_string(path.join("comm")) else {
            continue;
        };
        let numbered = path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().bytes().all(|it| it.is_ascii_digit()));
        if numbered && !name.starts_with("hostile") {
            println!("sees {} {}", path.display(), name.trim());
            return Ok(());
        }
    }
    bail!(Errno::ENOENT)
}

/// Starts processes until it is stopped, then ends them.
pub fn fork_bomb() -> Result<()> {
    let mut children = Vec::new();
    let mut result = Ok(());
    for _ in 0..BOMB {
        match sleeper() {
            Ok(child) => children.push(child),
            Err(error) => {
                result = Err(error);
                break;
            }
        }
    }
    println!("{} processes", children.len());
    for child in &mut children {
        end(child)?;
    }
    result
}

/// Becomes root by asking.
pub fn become_root() -> Result<()> {
    Ok(setuid(Uid::from_raw(0))?)
}

/// A child that waits for the other end of its standard input.
fn sleeper() -> Result<Child> {
    let program = std::env::current_exe()?;
    // `--one` with a name that is none ends at once; one that reads waits.
    let child = Command::new(program)
        .args([crate::ONE, "read=/dev/stdin"])
        .stdin(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()?;
    Ok(child)
}

fn end(child: &mut Child) -> Result<()> {
    child.kill()?;
    child.wait()?;
    Ok(())
}
