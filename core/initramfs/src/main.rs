//! The initramfs: finds the signed Core, activates dm-verity, opens the machine's state,
//! switches root.
//!
//! It comes inside the signed kernel bundle, together with the exact command line it
//! may be started with, the image certificate and the root hash's signature; these it
//! trusts. Disks, firmware variables and the command line the kernel was given it does
//! not. It ends in one of two ways: as the Core's PID 1, or with one line that says why
//! not. It never starts a shell, asks a person for nothing but what concerns the recovery
//! key, and writes to no disk but the state's partition, swap, and an escrow medium.
#![forbid(unsafe_code)]

mod boot;
mod candidate;
mod command_line;
mod console;
mod files;
mod firmware;
mod refusal;
mod search;
mod state;
mod timeline;

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::process::id() != 1 {
        eprintln!("bastide: the initramfs runs only as PID 1");
        return ExitCode::FAILURE;
    }
    refusal::refuse_on_panic();
    let Err(refusal) = boot::boot();
    refusal.carry_out()
}
