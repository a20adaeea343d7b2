//! Makes the Core image, the UKI and the bootable disk.
//!
//! Purpose: [`build`] chains the steps from sources and kernel to everything that
//! `out/<product>/` holds. The scripts are in `steps/`, one file each; the modules
//! here say what each may see.
//!
//! Trust boundary: product definitions and sources are the owner's. What comes out
//! is judged by the standard tools (veritysetup, fsck.erofs, sbverify, sfdisk,
//! openssl) within the steps, and once more from the finished disk.
//!
//! This never does: mounting, asking for privileges, reading a private key, or
//! putting a time or a random number into an artefact.
#![forbid(unsafe_code)]

mod cargo;
mod chain;
mod core;
mod disk;
mod error;
mod kernel_bundle;
mod materials;
mod plan;
mod text;

pub use cargo::VendoredCrates;
pub use chain::{Artefacts, Inputs, KernelSource, UnpackedPackages, build};
pub use core::{Built, CoreDescription, CoreImage, Signed};
pub use error::Error;
