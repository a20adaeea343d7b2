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
mod handover;
mod healthy;
mod intake;
mod kernel_log;
mod kernel_settings;
mod launch;
mod machine;
mod mounts;
mod notify;
mod output;
mod report;
mod runtime;
mod settings;
mod sockets;
mod stage;
mod state;
mod supervisor;
mod view;

use std::env;
use std::process::ExitCode;

/// Has the services started without Landlock. The initramfs, which is all that starts
/// this program on a machine, passes no arguments; tests do on a kernel that has none.
const WITHOUT_LANDLOCK: &str = "--without-landlock";

fn main() -> ExitCode {
    if stage::is_asked_for() {
        return match stage::run() {
            Ok(never) => match never {},
            Err(error) => {
                eprintln!("{error:#}");
                ExitCode::from(stage::FAILED)
            }
        };
    }
    if std::process::id() != 1 {
        eprintln!("init is started by the kernel, as PID 1; it does nothing else");
        return ExitCode::FAILURE;
    }
    farewell::catch_panics();
    let arguments: Vec<String> = env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match *arguments {
        [farewell::ARGUMENT, what] => farewell::give_up(&format!("it crashed by {what}")),
        [] => run(true),
        [WITHOUT_LANDLOCK] => run(false),
        _ => farewell::give_up("it was started with arguments that it does not know"),
    }
}

fn run(landlock: bool) -> ExitCode {
    if let Err(error) = farewell::catch_crashes() {
        farewell::give_up(&format!("cannot prepare for crashes: {error}"));
    }
    match machine::run(landlock) {
        Ok(never) => match never {},
        Err(error) => farewell::give_up(&format!("{error:#}")),
    }
}
