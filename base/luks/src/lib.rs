//! Encrypted, authenticated volumes: LUKS2 headers on a device, activation by
//! dm-integrity and dm-crypt, and the first wipe.
//!
//! The life of a volume: [`Volume::format`] writes a header; [`Volume::initialise`]
//! lets dm-integrity lay itself out; [`Volume::activate`] without a journal and
//! [`Active::wipe`] give every sector a valid tag; from then on [`Volume::open`],
//! [`Volume::unlock`] and [`Volume::activate`] with the journal. Each step can be
//! interrupted by a power cut: a header has two copies of which one is always whole,
//! and what was wiped half is wiped again. That a volume is ready is for the caller to
//! record, once it is.
//!
//! The disk is hostile. What the header says of the data (where it lies, its sectors,
//! its cipher) must be what the caller demands; a sector whose tag does not fit is a
//! read error, never data. The volume key reaches the kernel through a keyring and is
//! in no table. Discards are never passed down. This crate never asks a person for
//! anything.
#![forbid(unsafe_code)]

mod activate;
mod device;
mod error;
mod key;
mod random;
mod tables;
mod volume;
mod wipe;

pub use activate::Active;
pub use bastide_luks_format::{
    Cipher, DATA_OFFSET, Effort, Header, HeaderError, Keyslot, KeyslotError, Passphrase,
    SECTOR_SIZE, Token, VolumeKey,
};
pub use error::LuksError;
pub use random::fill;
pub use tables::Journal;
pub use volume::{NewVolume, Opened, Unlocked, Volume};
