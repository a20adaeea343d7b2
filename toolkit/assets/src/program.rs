//! Runs the host's programs for short tasks and keeps what they say.

use std::io;
use std::process::{Command, Output, Stdio};

use crate::Error;

/// Lines of a failure that are shown.
const TAIL: usize = 15;

/// Runs a program of the host to its end; gives its standard output.
pub(crate) fn output(
    program: &'static str,
    package: &'static str,
    configure: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<Vec<u8>, Error> {
    let result = run(program, package, configure)?;
    if result.status.success() {
        Ok(result.stdout)
    } else {
        Err(Error::Failed {
            program,
            output: tail(&result),
        })
    }
}

/// As [`output`], leaving it to the caller what a failure means.
pub(crate) fn run(
    program: &'static str,
    package: &'static str,
    configure: impl FnOnce(&mut Command) -> &mut Command,
) -> Result<Output, Error> {
    let mut command = Command::new(program);
    // What is parsed must not depend on the user's language.
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    configure(&mut command)
        .output()
        .map_err(|source: io::Error| Error::Program {
            program,
            package,
            source,
        })
}

/// What a program said last.
pub(crate) fn tail(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    let lines = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect::<Vec<_>>();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}
