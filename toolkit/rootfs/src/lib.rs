//! Composes the Core's file system and says where each file came from.
//!
//! Purpose: from a [`Plan`] (our programs, files of the tree, packages that may
//! be drawn from) make the directory that becomes the Core: programs, the
//! libraries they need and nothing else, with owners, modes and layout settled
//! here. Then audit the result as a stranger would ([`audit`]), and write down the
//! origin of each file and the bill of materials.
//!
//! Trust boundary: runs in a build step. Packages and programs are taken as they
//! are, but the audit trusts neither the plan nor the composition: it judges what
//! lies in the tree.
//!
//! This never does: running a program of the tree, following a link out of it,
//! deciding what a product contains.
#![forbid(unsafe_code)]

pub mod audit;
pub mod compose;
pub mod dpkg;
pub mod elf;
pub mod hardening;
pub mod origins;
pub mod plan;
pub mod sbom;

mod error;

pub use error::Error;
pub use plan::Plan;
