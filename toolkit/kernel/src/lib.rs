//! Configures and builds the kernel.
#![forbid(unsafe_code)]
