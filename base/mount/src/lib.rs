//! Mounting file systems and switching root.
#![forbid(unsafe_code)]
