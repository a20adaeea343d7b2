//! The system calls that no maintained crate wraps safely: kernel keys, the device
//! mapper, swap, growing ext4, attributes of mounts, quotas of projects, descriptors that
//! are passed and who sends messages, and what a process does to itself at the beginning
//! and at the very end.
//!
//! The only crate of `base` with `unsafe`. Each function checks what the kernel would
//! otherwise trust us for, so that no caller can break memory safety. It keeps no
//! state, but for what makes sure that [`passed`] works once, and never decides anything.
//!
//! Crates looked at: `linux-keyutils` knows neither asymmetric keys nor
//! `KEYCTL_RESTRICT_KEYRING`; `devicemapper` links libdevmapper, needs libclang on
//! every machine that checks the tree, and brings a logger, regular expressions and
//! System V semaphores into the initramfs, for five ioctls.

pub mod crash;
pub mod device_mapper;
pub mod ext4;
pub mod keys;
pub mod memory;
pub mod mount_attributes;
pub mod passed;
pub mod project_quota;
pub mod socket;
pub mod swap;
