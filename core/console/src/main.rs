//! The trusted status page on a console.
#![forbid(unsafe_code)]
fn main() {}
