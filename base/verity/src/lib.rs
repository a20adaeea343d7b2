//! dm-verity devices: activate, watch, remove.
//!
//! The kernel checks the root hash's signature and every block that is read; this
//! crate only describes the device to it. It cannot be asked for a device without a
//! signature, and never for one that goes on after corruption.
#![forbid(unsafe_code)]

mod message;
mod table;

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use bastide_disk::DeviceNumber;
use bastide_sys::device_mapper::{self, Command};
use rustix::io::Errno;

use message::Message;

const CONTROL: &str = "/dev/mapper/control";

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
pub struct Active {
    name: String,
    minor: u32,
}

/// What the kernel says of a dm-verity device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Status {
    /// A block was read that neither matched its hash nor could be repaired.
    pub corrupted: bool,
    /// Blocks repaired so far.
    pub corrected: u64,
}

/// Why a device could not be activated, asked or removed.
#[derive(Debug, thiserror::Error)]
pub enum VerityError {
    /// No device mapper.
    #[error("cannot open {CONTROL}")]
    Control(#[source] io::Error),
    /// A name or table does not fit the kernel's message.
    #[error("device-mapper message does not fit")]
    Message,
    /// The device could not be made; one of that name may exist.
    #[error("cannot create device {name}")]
    Create {
        /// Name of the device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// No sealed key verifies the signature.
    #[error("root-hash signature is not by the image key")]
    Signer(#[source] io::Error),
    /// The signature is malformed or for another root hash.
    #[error("root-hash signature does not fit the root hash")]
    Signature(#[source] io::Error),
    /// The kernel refuses the table for another reason.
    #[error("kernel refuses the dm-verity table")]
    Table(#[source] io::Error),
    /// The device could not be started.
    #[error("cannot start device {name}")]
    Start {
        /// Name of the device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The device could not be asked.
    #[error("cannot ask for the status of device {name}")]
    Status {
        /// Name of the device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The kernel's answer is none of dm-verity's.
    #[error("device {0} has no dm-verity status")]
    NotVerity(String),
    /// The device could not be removed.
    #[error("cannot remove device {name}")]
    Remove {
        /// Name of the device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// Activates a volume, read-only, with repair by its parity. The root-hash signature
/// must be in a keyring of the calling thread.
///
/// # Errors
/// The kernel refuses the signature or anything else; no device is left then.
pub fn activate(volume: &Volume<'_>) -> Result<Active, VerityError> {
    let control = control()?;
    let mut create = Message::new(volume.name)?.uuid(volume.uuid)?;
    send(&control, Command::Create, &mut create).map_err(|source| VerityError::Create {
        name: volume.name.to_owned(),
        source,
    })?;
    let active = Active {
        name: volume.name.to_owned(),
        minor: create.minor(),
    };
    match start(&control, volume) {
        Ok(()) => Ok(active),
        Err(error) => {
            active.remove()?;
            Err(error)
        }
    }
}

fn start(control: &OwnedFd, volume: &Volume<'_>) -> Result<(), VerityError> {
    let mut load = Message::new(volume.name)?
        .read_only()
        .target(table::sectors(&volume.layout), &table::table(volume))?;
    send(control, Command::LoadTable, &mut load).map_err(|error| {
        match Errno::from_io_error(&error) {
            Some(Errno::NOKEY) => VerityError::Signer(error),
            Some(Errno::KEYREJECTED | Errno::BADMSG) => VerityError::Signature(error),
            _ => VerityError::Table(error),
        }
    })?;
    let mut resume = Message::new(volume.name)?;
    send(control, Command::Suspend, &mut resume).map_err(|source| VerityError::Start {
        name: volume.name.to_owned(),
        source,
    })
}

impl Active {
    /// Kernel name of the device, such as `dm-0`.
    pub fn kernel_name(&self) -> String {
        format!("dm-{}", self.minor)
    }

    /// Its node, which devtmpfs makes.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/dm-{}", self.minor))
    }

    /// What the kernel says of it.
    ///
    /// # Errors
    /// See [`status`].
    pub fn status(&self) -> Result<Status, VerityError> {
        status(&self.name)
    }

    /// Removes the device; nothing may use it any more.
    ///
    /// # Errors
    /// The kernel refuses, for instance because the device is mounted.
    pub fn remove(self) -> Result<(), VerityError> {
        let mut message = Message::new(&self.name)?;
        send(&control()?, Command::Remove, &mut message).map_err(|source| VerityError::Remove {
            name: self.name,
            source,
        })
    }
}

/// Asks the kernel about the dm-verity device of a name.
///
/// # Errors
/// There is no such device, or it is no dm-verity device.
pub fn status(name: &str) -> Result<Status, VerityError> {
    let mut message = Message::new(name)?.with_room()?;
    send(&control()?, Command::TableStatus, &mut message).map_err(|source| {
        VerityError::Status {
            name: name.to_owned(),
            source,
        }
    })?;
    message
        .only_target("verity")
        .and_then(table::parse_status)
        .ok_or_else(|| VerityError::NotVerity(name.to_owned()))
}

fn control() -> Result<OwnedFd, VerityError> {
    File::options()
        .read(true)
        .write(true)
        .open(CONTROL)
        .map(OwnedFd::from)
        .map_err(VerityError::Control)
}

fn send(control: &OwnedFd, command: Command, message: &mut Message) -> io::Result<()> {
    device_mapper::request(control.as_fd(), command, message.buffer())
}
