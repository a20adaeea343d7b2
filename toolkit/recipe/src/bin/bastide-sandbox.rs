//! The sandbox helper alone, for tests and for engines used outside the CLI.

#![forbid(unsafe_code)]

use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    match std::env::args_os().nth(1) {
        Some(spec) => bastide_recipe::sandbox::enter(Path::new(&spec)),
        None => {
            eprintln!("bastide-sandbox: give the path of a sandbox description");
            ExitCode::from(2)
        }
    }
}
