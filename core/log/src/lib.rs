//! The log of the Core: takes in what the kernel and the services say, keeps it on the
//! state volume, chained, sealed and anchored in the TPM, and answers who may ask.
//!
//! Trust boundary: every byte that comes in is hostile, and so is what lies on the
//! disk. Who a sender is comes from the kernel. The one secret is the key of the next
//! seal, which lies in memory and in a file that is no disk's. What the format promises
//! is in `proto/log`; what a flood cannot do is in [`store`].
//!
//! This never does: wait for a service, run a program, open a network socket, or give
//! up while there is anything left to keep.
#![forbid(unsafe_code)]

pub mod anchor;
pub mod answer;
pub mod bus;
pub mod callers;
pub mod clock;
pub mod daemon;
pub mod descriptors;
pub mod disk;
pub mod inputs;
pub mod jobs;
pub mod ledger;
pub mod limit;
pub mod notify;
pub mod resume;
pub mod secret;
pub mod settings;
pub mod store;
pub mod stream;
