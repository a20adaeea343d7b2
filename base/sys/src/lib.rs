//! The system calls no maintained crate wraps safely.

