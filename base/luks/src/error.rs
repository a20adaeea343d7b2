//! What can go wrong with a volume.

use std::{io, path::PathBuf};

use bastide_device_mapper::MapperError;
use bastide_luks_format::{Cipher, HeaderError, KeyslotError, SuperblockError};

/// Why a volume cannot be made, opened, changed or activated.
#[derive(Debug, thiserror::Error)]
pub enum LuksError {
    /// The device cannot be opened.
    #[error("cannot open {}", path.display())]
    Open {
        /// The device.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The device cannot be read.
    #[error("cannot read {} at byte {offset}", path.display())]
    Read {
        /// The device.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What the kernel said.
        source: io::Error,
    },
    /// The device cannot be written.
    #[error("cannot write {} at byte {offset}", path.display())]
    Write {
        /// The device.
        path: PathBuf,
        /// Where.
        offset: u64,
        /// What the kernel said.
        source: io::Error,
    },
    /// The device is no block device, which alone can be activated.
    #[error("{} is no block device", .0.display())]
    NoDevice(PathBuf),
    /// The device has no room for a header and data.
    #[error("{} has {size} bytes; a volume needs at least {needed}", path.display())]
    Small {
        /// The device.
        path: PathBuf,
        /// Its bytes.
        size: u64,
        /// Bytes that are needed.
        needed: u64,
    },
    /// The header is refused.
    #[error("header of {}", path.display())]
    Header {
        /// The device.
        path: PathBuf,
        /// Why.
        source: HeaderError,
    },
    /// A key slot cannot be tried or made.
    #[error("key slot of {}", path.display())]
    Keyslot {
        /// The device.
        path: PathBuf,
        /// Why.
        source: KeyslotError,
    },
    /// The data is encrypted otherwise than the caller demands: the header is not one
    /// that we wrote.
    #[error("volume is encrypted by {found:?}, not {wanted:?}")]
    OtherCipher {
        /// What the header says.
        found: Cipher,
        /// What the caller demands.
        wanted: Cipher,
    },
    /// The data lies elsewhere or has other sectors than ours.
    #[error("data of {} is not laid out as ours", .0.display())]
    Layout(PathBuf),
    /// dm-integrity has not laid itself out, or otherwise than demanded.
    #[error("dm-integrity superblock of {}", path.display())]
    Superblock {
        /// The device.
        path: PathBuf,
        /// Why.
        source: SuperblockError,
    },
    /// dm-integrity's layout does not fit the header.
    #[error("dm-integrity superblock of {} does not fit the header", .0.display())]
    Integrity(PathBuf),
    /// The key could not be handed to the kernel or taken back.
    #[error("cannot hand the volume key to the kernel")]
    Key(#[source] io::Error),
    /// No random bytes.
    #[error("no random bytes")]
    Random(#[source] io::Error),
    /// The device mapper refuses; tells the table.
    #[error(transparent)]
    Mapper(#[from] MapperError),
}
