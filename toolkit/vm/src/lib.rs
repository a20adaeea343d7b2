//! Boots a Bastide disk in QEMU and drives it as a person would.
#![forbid(unsafe_code)]
