//! The ./bastide command: builds, runs, tests and checks Bastide.
#![forbid(unsafe_code)]
fn main() {}
