//! A service that somebody has taken over.
//!
//! Purpose: it tries, one after the other, what its definition does not grant, and says
//! for each try whether the system refused. Only products for testing have it, all of
//! them instrumented; which tries a service makes is in its arguments:
//! `hostile <service> <try>...`.
//!
//! Each try runs in a process of its own, since the system may answer by ending it. What
//! became of it goes to standard output and to the second serial line, in lines
//! `<service>: <try>: refused (<error or signal>)` and `<service>: <try>: SUCCEEDED`.
//!
//! Trust boundary: none; this is the other side. It never does harm that outlives the
//! machine it runs in: it tries on the machine of a scenario, which is thrown away.
#![forbid(unsafe_code)]

mod report;
mod tries;

use std::env;
use std::process::ExitCode;

/// The first argument of a process that makes one try.
const ONE: &str = "--one";

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        [ONE, name] => tries::one(name),
        [service, names @ ..] if !names.is_empty() => report::all(service, names),
        _ => {
            eprintln!("usage: hostile SERVICE TRY...");
            ExitCode::FAILURE
        }
    }
}
