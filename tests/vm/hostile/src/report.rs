//! Makes the tries and says what became of each.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::Signal;

use crate::ONE;

/// The second serial line, which the test bench reads.
pub const LINE: &str = "/dev/ttyS1";

/// Exit codes of a try that are no errors of the system: the peer refused the call, or the
/// try itself went wrong.
pub const DENIED: u8 = 254;
/// See [`DENIED`].
pub const BROKEN: u8 = 255;

/// How long a service goes on living when it has tried everything: it is looked at.
const AFTERWARDS: Duration = Duration::from_secs(3600);

/// Says lines in both places.
pub struct Reporter {
    service: String,
    line: Option<File>,
}

impl Reporter {
    /// A reporter for `service`; without the serial line there is still the log.
    pub fn new(service: &str) -> Self {
        Self {
            service: service.to_owned(),
            line: File::options().write(true).open(LINE).ok(),
        }
    }

    /// Says `<service>: <text>`. Nobody to hear it is no reason to stop.
    pub fn say(&mut self, text: &str) {
        let text = format!("{}: {text}\n", self.service);
        let mut heard = io::stdout().write_all(text.as_bytes()).is_ok();
        if let Some(line) = &mut self.line {
            // One write, so that services that report at once do not mix.
            heard |= line
                .write_all(text.replace('\n', "\r\n").as_bytes())
                .is_ok();
        }
        if !heard {
            self.line = None;
        }
    }
}

/// Makes all tries for `service`, in order.
pub fn all(service: &str, names: &[&str]) -> ExitCode {
    let mut reporter = Reporter::new(service);
    for name in names {
        let outcome = match make(name) {
            Ok((status, said)) => {
                for line in said.lines() {
                    reporter.say(&format!("{name}: {line}"));
                }
                outcome(status)
            }
            Err(error) => format!("not tried: {error}"),
        };
        reporter.say(&format!("{name}: {outcome}"));
    }
    reporter.say(&format!("done: {}", names.len()));
    sleep(AFTERWARDS);
    ExitCode::SUCCESS
}

fn make(name: &str) -> io::Result<(ExitStatus, String)> {
    // /proc may be hidden or not be there: the program knows where it lies.
    let program = std::env::current_exe().unwrap_or_else(|_| "/usr/lib/bastide/hostile".into());
    // What it writes to standard error is the service's own log.
    let output = Command::new(program)
        .args([ONE, name])
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok((output.status, said))
}

fn outcome(status: ExitStatus) -> String {
    match (status.code().map(u8::try_from), status.signal()) {
        (Some(Ok(0)), _) => "SUCCEEDED".to_owned(),
        (Some(Ok(DENIED)), _) => "refused (denied)".to_owned(),
        (Some(Ok(code)), _) if code < DENIED => {
            format!("refused ({:?})", Errno::from_raw(i32::from(code)))
        }
        (_, Some(signal)) => match Signal::try_from(signal) {
            Ok(signal) => format!("refused ({signal})"),
            Err(_) => format!("refused (signal {signal})"),
        },
        _ => "not tried: it went wrong by itself".to_owned(),
    }
}

/// The exit code that tells how a try ended.
pub fn exit_code(result: &anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::SUCCESS;
    };
    for cause in error.chain() {
        let number = cause
            .downcast_ref::<io::Error>()
            .and_then(io::Error::raw_os_error)
            .or_else(|| cause.downcast_ref::<Errno>().map(|errno| *errno as i32))
            .or_else(|| {
                let errno = cause.downcast_ref::<rustix::io::Errno>();
                errno.map(|errno| errno.raw_os_error())
            });
        if let Some(number) = number.and_then(|number| u8::try_from(number).ok()) {
            return ExitCode::from(number);
        }
        if cause.is::<crate::tries::varlink::Denied>() {
            return ExitCode::from(DENIED);
        }
    }
    eprintln!("{error:#}");
    ExitCode::from(BROKEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endings_are_named() {
        let exited = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!(outcome(exited(0)), "SUCCEEDED");
        assert_eq!(outcome(exited(13)), "refused (EACCES)");
        assert_eq!(outcome(exited(254)), "refused (denied)");
        assert_eq!(outcome(exited(255)), "not tried: it went wrong by itself");
        assert_eq!(outcome(ExitStatus::from_raw(31)), "refused (SIGSYS)");
        assert_eq!(outcome(ExitStatus::from_raw(9)), "refused (SIGKILL)");
    }

    #[test]
    fn an_error_of_the_system_becomes_its_number() {
        let of = |error: anyhow::Error| format!("{:?}", exit_code(&Err(error)));
        let expected = format!("{:?}", ExitCode::from(13));
        assert_eq!(of(io::Error::from_raw_os_error(13).into()), expected);
        assert_eq!(of(Errno::EACCES.into()), expected);
        assert_eq!(of(rustix::io::Errno::ACCESS.into()), expected);
        let context = anyhow::Error::from(Errno::EACCES).context("while trying");
        assert_eq!(of(context), expected);
    }
}
