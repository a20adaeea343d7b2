//! The LUKS2 format, as cryptsetup 2.7 and later write and read it
//! (LUKS2 On-Disk Format Specification 1.1.3): two copies of a header, each binary
//! part and JSON area, then key slots.
//!
//! Input is hostile: whoever has the disk wrote it. Every number is bounded, unknown
//! keys are refused, and what is not ours to open is refused early: key slots without
//! encryption, ciphers other than those of [`Cipher`], segments that are not the whole
//! rest of the device. A key counts as the volume's only once a digest says so; that a
//! header is the volume's own, and not another's of whom the passphrase is known, is
//! for the caller to prove.
//!
//! This crate never does I/O and never makes a key slot that no passphrase guards.
//! Random bytes come from the caller.
#![forbid(unsafe_code)]

mod anti_forensic;
mod area;
mod binary;
mod cipher;
mod copies;
mod error;
mod header;
mod json;
mod kdf;
mod keyslot;
mod metadata;
mod secret;
mod superblock;
mod validate;

use std::io;

pub use binary::{BINARY_SIZE, HEADER_SIZES, Place};
pub use cipher::Cipher;
pub use copies::{Chosen, choose};
pub use error::{HeaderError, KeyslotError};
pub use header::{Header, NewVolume};
pub use json::Token;
pub use kdf::{Effort, Kdf};
pub use keyslot::{NewKeyslot, Unlock};
pub use metadata::{Area, Keyslot, Segment};
pub use secret::{LONGEST_PASSPHRASE, Passphrase, VolumeKey};
pub use superblock::{IntegritySuperblock, SUPERBLOCK_SIZE, SuperblockError};

/// Where data begins, in bytes: cryptsetup's default of 16 MiB.
pub const DATA_OFFSET: u64 = 16 * 1024 * 1024;

/// Bytes of a sector of our volumes.
pub const SECTOR_SIZE: u32 = 4096;

/// Most key slots, tokens, segments or digests of a header.
pub const MOST_OBJECTS: u32 = 32;

/// Fills a buffer with random bytes; fails where there are none.
pub type Random<'random> = &'random mut dyn FnMut(&mut [u8]) -> io::Result<()>;
