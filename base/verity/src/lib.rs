//! dm-verity devices: activate, watch, remove.
#![forbid(unsafe_code)]
