//! Kernel keyrings.
#![forbid(unsafe_code)]
