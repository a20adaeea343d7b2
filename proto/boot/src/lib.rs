//! What the boot stages tell each other, as types.
//!
//! The build tool writes these formats, the initramfs reads them before it trusts
//! anything, PID 1 and the console read the report that the initramfs leaves.
//! Input is hostile: every parser is bounded and says which field it refused.
//! This crate never does I/O.
#![forbid(unsafe_code)]

mod command_line;
mod geometry;
mod release;
mod report;
mod root_hash;
mod superblock;

pub use command_line::{
    CommandLine, CommandLineError, LONGEST_COMMAND_LINE, OnFailure, RecoveryKey,
};
pub use geometry::{BLOCK_SIZE, FEC_ROOTS, Geometry, GeometryError, HashOffset};
pub use release::{ReleaseError, release_number};
pub use report::{
    BootReport, CoreReport, LoaderTimes, OpenedBy, RefusedCandidate, ReportError, StateReport,
    StepTime,
};
pub use root_hash::{ROOT_X86_64, RootHash, RootHashError};
pub use superblock::{SUPERBLOCK_SIZE, Superblock, SuperblockError};

/// Program that the initramfs hands the machine to, as a path inside the Core.
pub const CORE_INIT: &str = "/usr/lib/bastide/init";

/// Where the boot report lies once the Core runs.
pub const BOOT_REPORT: &str = "/run/bastide/boot.json";
