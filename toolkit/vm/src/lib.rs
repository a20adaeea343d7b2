//! Boots a Bastide disk in QEMU and drives it as a person would: OVMF with
//! Secure Boot, a TPM of its own, virtio devices, and a serial console that can
//! be read, searched and typed on.
//!
//! Trust boundary: what the guest prints is hostile text. It is stripped of
//! control sequences, searched and shown, and nothing in it is ever executed or
//! used as a path.
//!
//! This never changes an image (guests write to what goes away, or to copies),
//! never kills a process it did not start, and leaves nothing running behind:
//! every child carries a parent-death signal besides being killed on drop.
#![forbid(unsafe_code)]

mod accelerator;
mod arguments;
mod child;
mod console;
mod disk;
pub mod hostile;
mod machine;
mod monitor;
pub mod peer;
pub mod rescue;
pub mod signs;
mod terminal_text;
mod times;
mod tpm;
mod tpm_traffic;

pub use accelerator::{Accelerator, AcceleratorChoice, AcceleratorError, choose_accelerator};
pub use arguments::{Configuration, Disk, Firmware, Keyboard, Serial};
pub use console::{Console, ExpectError, Line, Seen};
pub use disk::{DiskError, sparse_copy};
pub use machine::{Machine, MachineError, TPM_STATE, VARIABLES};
pub use monitor::{Monitor, MonitorError};
pub use terminal_text::printable;
pub use times::{BootTimes, Milestone};
pub use tpm_traffic::TpmTraffic;
