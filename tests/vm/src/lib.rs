//! Claims about a running Bastide, each attacked in a virtual machine.
//!
//! A scenario boots the image as shipped, or a copy of its disk that an attacker has
//! changed offline, and drives it through what users and attackers have: keyboard,
//! serial line, disk, firmware settings. It passes when the promised thing is seen on
//! the console: a refusal, not a time-out.
//!
//! This never reads a private key and never changes what the build made.
#![forbid(unsafe_code)]

pub mod bench;
pub mod boot_file;
pub mod core_area;
pub mod disk_copy;
pub mod hostile;
pub mod installation;
pub mod integrity;
pub mod log_verdict;
pub mod measurement;
pub mod page;
pub mod provisioned;
pub mod random;
pub mod recovery;
pub mod report;
pub mod runner;
pub mod scenario;
pub mod scenarios;
pub mod state;
pub mod tpm_bus;
pub mod variable_store;
