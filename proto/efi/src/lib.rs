//! EFI variables as the Linux kernel shows them, and what Bastide reads from them.
//!
//! Whoever controls the firmware controls these bytes, so every parser is bounded
//! and refuses what it does not know. This crate never does I/O and never decides
//! whom to trust: it only says what is enrolled.
#![forbid(unsafe_code)]

mod failure;
mod loader;
mod signature_list;
mod variable;

pub use failure::{FAILURE_VARIABLE, LONGEST_FAILURE, decode_failure, encode_failure};
pub use loader::{
    LOADER_DEVICE_PART_UUID, LOADER_TIME_EXEC, LOADER_TIME_INIT, LoaderError, partition_uuid,
    time_microseconds,
};
pub use signature_list::{
    Fingerprint, LARGEST_SIGNATURE_DATABASE, Signature, SignatureKind, SignatureListError,
    parse_signature_lists,
};
pub use variable::{
    Attributes, EFIVARFS, GLOBAL_VARIABLES, SECURITY_DATABASE, Variable, VariableError,
    VariableName,
};
