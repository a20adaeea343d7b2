//! The initramfs: finds the signed Core, activates dm-verity, switches root.
#![forbid(unsafe_code)]
fn main() {}
