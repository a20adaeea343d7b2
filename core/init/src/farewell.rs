//! The end: stopping the machine, in order or because PID 1 cannot go on.

use std::fs;
use std::io::{self, Write};
use std::panic;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use bastide_efi::{Attributes, EFIVARFS, FAILURE_VARIABLE, Variable, encode_failure};
use bastide_mount::{set_variables_writable, unmount_now};
use bastide_sys::crash::execute_on_crash;
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags, sync};
use rustix::process::{WaitOptions, wait};
use rustix::system::{RebootCommand, reboot};

use crate::kernel_log::say;
use crate::supervisor::{Level, Stop};

/// The argument of a fresh image that only has to say what happened.
pub const ARGUMENT: &str = "--farewell";

/// How long killed processes may take to be gone.
const KILL_ROUNDS: u32 = 40;
const KILL_ROUND: Duration = Duration::from_millis(50);

/// Ends every process, writes everything out, unmounts, and stops the machine.
pub fn stop(stop: Stop) -> ! {
    end_everything();
    sync();
    unmount_everything();
    sync();
    say(Level::Notice, &format!("goodbye: {stop}"));
    now(match stop {
        Stop::PowerOff => RebootCommand::PowerOff,
        Stop::Reboot => RebootCommand::Restart,
    })
}

/// Stops the machine because PID 1 cannot go on, and keeps the reason: in the
/// kernel's log and, where there is one, in a firmware variable that the next
/// boot shows.
pub fn give_up(reason: &str) -> ! {
    say(
        Level::Error,
        &format!("PID 1 cannot go on: {reason}; rebooting"),
    );
    if let Err(error) = keep_reason(reason) {
        say(Level::Error, &format!("cannot keep the reason: {error:#}"));
    }
    end_everything();
    sync();
    now(RebootCommand::Restart)
}

/// Makes a crash the same as any other reason to give up, by way of a fresh image of
/// this program that is told of it.
///
/// # Errors
/// When the kernel refuses.
pub fn catch_crashes() -> io::Result<()> {
    execute_on_crash(c"/proc/self/exe", c"--farewell")
}

/// Makes a panic the same as any other reason to give up.
///
/// A second panic, out of giving up, aborts, which is a crash like any other: see
/// [`catch_crashes`].
pub fn catch_panics() {
    end_panics_by(give_up);
}

fn end_panics_by(end: fn(&str) -> !) {
    panic::set_hook(Box::new(move |panic| {
        let place = panic
            .location()
            .map_or_else(String::new, |place| format!(" at {place}"));
        let payload = panic.payload();
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("no message");
        end(&format!("panic{place}: {text}"));
    }));
}

fn now(command: RebootCommand) -> ! {
    let error = reboot(command);
    say(
        Level::Error,
        &format!("the kernel refuses to stop: {error:?}"),
    );
    // Nothing is left to do; returning would be a kernel panic without a reason.
    loop {
        sleep(Duration::from_secs(3600));
    }
}

/// Ends all processes: the services had their time, this is for what is left.
fn end_everything() {
    for (signal, rounds) in [(Signal::SIGTERM, 1), (Signal::SIGKILL, KILL_ROUNDS)] {
        for _ in 0..rounds {
            reap();
            // All processes but this one; ESRCH: there are none.
            match kill(Pid::from_raw(-1), signal) {
                Err(Errno::ESRCH) => return,
                Ok(()) => {}
                Err(error) => say(Level::Warning, &format!("cannot signal: {error}")),
            }
            if processes() == 0 {
                return;
            }
            sleep(KILL_ROUND);
        }
    }
    reap();
    let left = processes();
    if left > 0 {
        say(Level::Warning, &format!("{left} processes do not end"));
    }
}

fn reap() {
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

/// Processes besides PID 1; the kernel's threads and the dead have no program.
fn processes() -> usize {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|number| *number > 1)
        .filter(|number| fs::read_link(format!("/proc/{number}/exe")).is_ok())
        .count()
}

fn unmount_everything() {
    let Ok(table) = fs::read_to_string("/proc/self/mountinfo") else {
        say(Level::Warning, "cannot read what is mounted");
        return;
    };
    for target in to_unmount(&table) {
        if let Err(error) = unmount_now(Path::new(&target)) {
            let error = anyhow::Error::from(error);
            say(Level::Info, &format!("{error:#}"));
        }
    }
}

/// The mount points of a proc(5) mountinfo that lie on a disk, the last mounted
/// first. The Core itself stays; so does what the kernel keeps in memory (device
/// numbers with major 0), which has nothing to lose.
fn to_unmount(table: &str) -> Vec<String> {
    let mut targets: Vec<String> = table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(2);
            let (device, target) = (fields.next()?, fields.nth(1)?);
            let stays = device.starts_with("0:") || target == "/";
            (!stays).then(|| unescape(target))
        })
        .collect();
    targets.reverse();
    targets
}

/// mountinfo writes blanks and the like as a backslash and three octal digits.
fn unescape(text: &str) -> String {
    [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ]
    .into_iter()
    .fold(text.to_owned(), |text, (escape, letter)| {
        text.replace(escape, letter)
    })
}

fn keep_reason(reason: &str) -> Result<()> {
    let folder = Path::new(EFIVARFS);
    let path = folder.join(FAILURE_VARIABLE.to_string());
    if fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none()) {
        return Ok(());
    }
    let data = encode_failure(reason);
    let file = Variable {
        attributes: Attributes::KEPT,
        data: &data,
    }
    .to_file();
    set_variables_writable(folder, true)?;
    // The kernel protects variables that it does not know against changes.
    if let Ok(variable) = fs::File::open(&path) {
        let flags = ioctl_getflags(&variable)?;
        ioctl_setflags(&variable, flags - IFlags::IMMUTABLE)?;
    }
    // The firmware takes a variable whole, in a single write.
    fs::File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .open(&path)
        .and_then(|mut variable| variable.write_all(&file))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::process::{Command, exit};

    use super::*;

    /// The test runs itself again, to panic there.
    #[test]
    fn a_panic_ends_with_its_reason() {
        const AGAIN: &str = "BASTIDE_TEST_PANIC";
        const ENDED: i32 = 42;
        if std::env::var_os(AGAIN).is_some() {
            end_panics_by(|reason| {
                eprintln!("reason: {reason}");
                exit(ENDED);
            });
            let number = std::process::id();
            panic!("number {number} is odd");
        }
        let myself = std::env::current_exe().expect("a program");
        let output = Command::new(myself)
            .args(["farewell::tests::a_panic_ends_with_its_reason", "--exact"])
            .args(["--nocapture", "--test-threads=1"])
            .env(AGAIN, "1")
            .output()
            .expect("ran");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(ENDED), "{said}");
        assert!(
            said.contains("reason: panic at core/init/src/farewell.rs:"),
            "{said}"
        );
        assert!(said.contains(" is odd"), "{said}");
    }

    #[test]
    fn disks_are_unmounted_the_last_mounted_first() {
        let table = "\
22 1 254:0 / / ro,relatime - erofs /dev/dm-0 ro
23 22 0:5 / /dev rw - devtmpfs devtmpfs rw
27 22 0:9 / /run rw - tmpfs tmpfs rw
28 27 254:1 / /run/state rw - ext4 /dev/dm-1 rw
29 28 254:2 / /run/state/with\\040blank rw - ext4 /dev/dm-2 rw
30 22
";
        assert_eq!(to_unmount(table), ["/run/state/with blank", "/run/state"]);
    }
}
