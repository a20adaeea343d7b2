//! dm-verity devices: activate, watch, remove.
//!
//! The kernel checks the root hash's signature and every block that is read; this
//! crate only describes the device to it. It cannot be asked for a device without a
//! signature, and never for one that goes on after corruption.
#![forbid(unsafe_code)]

mod table;

use std::{io, path::PathBuf};

use bastide_device_mapper::{Access, MapperError, Target};
use bastide_disk::DeviceNumber;
use rustix::io::Errno;

/// What to activate.
#[derive(Debug, Clone, Copy)]
pub struct Volume<'volume> {
    /// Name of the device, such as `core`; at most 127 bytes.
    pub name: &'volume str,
    /// Identity under which standard tools find the device.
    pub uuid: &'volume str,
    /// Partition that holds data, hash tree and parity.
    pub partition: DeviceNumber,
    /// Where those lie in it.
    pub layout: Layout,
    /// The root of the tree, a SHA-256.
    pub root_hash: &'volume [u8; 32],
    /// Salt of the tree.
    pub salt: &'volume [u8],
    /// Description of the kernel key that holds the root hash's signature.
    pub signature_key: &'volume str,
}

/// Where data, hash tree and parity lie, in blocks of one size for all three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// Bytes of a block.
    pub block_size: u32,
    /// Blocks of data, from the start.
    pub data_blocks: u64,
    /// First block of the hash tree.
    pub hash_start: u64,
    /// First block of the parity.
    pub fec_start: u64,
    /// Blocks that the parity protects.
    pub fec_blocks: u64,
    /// Parity bytes of a Reed-Solomon code word.
    pub fec_roots: u32,
}

/// An active dm-verity device.
#[derive(Debug)]
pub struct Active(bastide_device_mapper::Active);

/// What the kernel says of a dm-verity device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// A block was read that neither matched its hash nor could be repaired.
    pub corrupted: bool,
    /// Blocks repaired so far.
    pub corrected: u64,
}

/// Why a device could not be activated or asked.
#[derive(Debug, thiserror::Error)]
pub enum VerityError {
    /// No sealed key verifies the signature.
    #[error("root-hash signature is not by the image key")]
    Signer(#[source] io::Error),
    /// The signature is malformed or for another root hash.
    #[error("root-hash signature does not fit the root hash")]
    Signature(#[source] io::Error),
    /// The kernel's answer is none of dm-verity's.
    #[error("device {0} has no dm-verity status")]
    NotVerity(String),
    /// The device mapper refuses for another reason.
    #[error(transparent)]
    Mapper(#[from] MapperError),
}

/// Activates a volume, read-only, with repair by its parity. The root-hash signature
/// must be in a keyring of the calling thread.
///
/// # Errors
/// The kernel refuses the signature or anything else; no device is left then.
pub fn activate(volume: &Volume<'_>) -> Result<Active, VerityError> {
    let target = Target {
        kind: "verity",
        sectors: table::sectors(&volume.layout),
        parameters: &table::table(volume),
        access: Access::ReadOnly,
    };
    bastide_device_mapper::activate(volume.name, volume.uuid, &target)
        .map(Active)
        .map_err(|error| match error {
            MapperError::Table { source, .. }
                if Errno::from_io_error(&source) == Some(Errno::NOKEY) =>
            {
                VerityError::Signer(source)
            }
            MapperError::Table { source, .. }
                if matches!(
                    Errno::from_io_error(&source),
                    Some(Errno::KEYREJECTED | Errno::BADMSG)
                ) =>
            {
                VerityError::Signature(source)
            }
            other => VerityError::Mapper(other),
        })
}

impl Active {
    /// Kernel name of the device, such as `dm-0`.
    pub fn kernel_name(&self) -> String {
        self.0.kernel_name()
    }

    /// Its node, which devtmpfs makes.
    pub fn path(&self) -> PathBuf {
        self.0.path()
    }

    /// What the kernel says of it.
    ///
    /// # Errors
    /// See [`status`].
    pub fn status(&self) -> Result<Status, VerityError> {
        status(self.0.name())
    }

    /// Removes the device; nothing may use it any more.
    ///
    /// # Errors
    /// The kernel refuses, for instance because the device is mounted.
    pub fn remove(self) -> Result<(), VerityError> {
        Ok(self.0.remove()?)
    }
}

/// Asks the kernel about the dm-verity device of a name.
///
/// # Errors
/// There is no such device, or it is no dm-verity device.
pub fn status(name: &str) -> Result<Status, VerityError> {
    let text = bastide_device_mapper::status(name, "verity")?;
    table::parse_status(&text).ok_or_else(|| VerityError::NotVerity(name.to_owned()))
}
