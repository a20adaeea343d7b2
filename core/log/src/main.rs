//! The log of the Core. See the library beside this.
#![forbid(unsafe_code)]

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use bastide_log::daemon::{run, usual};

/// Where the initramfs leaves the secret.
const RUNTIME: &str = "/run/log";

fn main() -> ExitCode {
    let runtime = env::var_os("RUNTIME_DIRECTORY").map_or_else(|| RUNTIME.into(), PathBuf::from);
    match usual(&runtime).and_then(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
