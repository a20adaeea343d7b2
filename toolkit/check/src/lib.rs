//! Checks of the tree itself: which room may use which, how dependencies are declared,
//! where links lead.
//!
//! Trust boundary: reads the checkout only. This never changes a file and never builds anything.
#![forbid(unsafe_code)]

pub mod arrows;
pub mod definitions;
pub mod links;
pub mod manifest;
