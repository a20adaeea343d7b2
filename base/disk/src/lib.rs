//! Finding partitions by type and identity.
#![forbid(unsafe_code)]
