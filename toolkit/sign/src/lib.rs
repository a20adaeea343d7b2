//! Makes the owner's keys and signs with them.
#![forbid(unsafe_code)]
