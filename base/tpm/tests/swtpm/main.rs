//! What a TPM gives to whom, and what it does not, against swtpm.
//!
//! Skipped where swtpm is not installed, unless `BASTIDE_TEST_TPM=required`.
#![forbid(unsafe_code)]

mod attacks;
mod bus;
mod emulator;
mod indices;
mod judge;
mod machine;
mod ownership;
