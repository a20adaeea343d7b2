//! PID 1 of the Core: starts, supervises and stops the services.
//!
//! Trust boundary: it runs as root and hands each service as little as the
//! definition says. What comes back from services (notifications, Varlink calls,
//! output, exits) is hostile: bounded, attributed by the kernel, and never waited
//! for. Decisions are in [`supervisor`] and [`answer`], which do no I/O.
//!
//! This never does: run a shell or any program outside /usr/lib/bastide, read
//! anything writable from a disk, open a network socket, or end. When it cannot go
//! on it says why, keeps the reason where the next boot shows it, and reboots.
#![forbid(unsafe_code)]

mod answer;
mod bus;
mod button;
mod catalogue;
mod clock;
mod farewell;
mod groups;
mod kernel_log;
mod launch;
mod machine;
mod mounts;
mod notify;
mod output;
mod report;
mod settings;
mod stage;
mod supervisor;

use std::process::ExitCode;

fn main() -> ExitCode {
    if stage::is_asked_for() {
        let error = stage::run().unwrap_or_else(|error| error);
        eprintln!("{error:#}");
        return ExitCode::from(stage::FAILED);
    }
    if std::process::id() != 1 {
        eprintln!("init is started by the kernel, as PID 1; it does nothing else");
        return ExitCode::FAILURE;
    }
    farewell::catch_panics();
    match machine::run() {
        Ok(never) => match never {},
        Err(error) => farewell::give_up(&format!("{error:#}")),
    }
}
