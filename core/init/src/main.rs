//! PID 1: starts, supervises and stops the services of the Core.
#![forbid(unsafe_code)]
fn main() {}
