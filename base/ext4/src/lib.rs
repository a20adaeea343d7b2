//! ext4 without a maker: a template from the build becomes a machine's file system.
//!
//! The Core has no mke2fs. The build makes a small file system once (64 MiB, one block
//! group) and keeps the blocks that are not zero; [`Template::write`] puts them on the
//! prepared device with an identity of its own, [`grow()`] lets the kernel enlarge it to
//! the device once it is mounted. The device must read as zeros before.
//!
//! Templates come in the signed kernel bundle; they are read with bounds all the same.
//! This crate never mounts.
#![forbid(unsafe_code)]

mod grow;
mod superblock;
mod template;

pub use grow::{GrowError, grow};
pub use superblock::{Identity, SUPERBLOCK_OFFSET, SUPERBLOCK_SIZE, SuperblockError, patch};
pub use template::{BLOCK_SIZE, Template, TemplateError};
