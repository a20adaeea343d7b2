//! Devices of the device mapper: make, load a table of one target, start, ask, remove.
//!
//! The crates that describe a device (verity, luks, swap) write the target's
//! parameters; this one carries them to the kernel. Parameters are shown in errors, so
//! a table never holds a key: keys go through the kernel's keyrings.
#![forbid(unsafe_code)]

mod message;

use std::{fs::File, io, os::fd::AsFd, path::PathBuf};

use bastide_disk::DeviceNumber;
use bastide_sys::device_mapper::{self, Command};

use message::Message;

const CONTROL: &str = "/dev/mapper/control";

/// A device that is one target from its first sector to its last.
#[derive(Debug, Clone, Copy)]
pub struct Target<'target> {
    /// Type, such as `crypt`.
    pub kind: &'target str,
    /// Length in sectors of 512 bytes.
    pub sectors: u64,
    /// Parameters, as the type's documentation has them; never a key.
    pub parameters: &'target str,
    /// Whether the device can be written.
    pub access: Access,
}

/// Whether a device can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// It cannot.
    ReadOnly,
    /// It can.
    ReadWrite,
}

/// Why the device mapper did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum MapperError {
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
    /// The kernel refuses the table; its log has the reason.
    #[error("kernel refuses the table \"0 {sectors} {kind} {parameters}\" for device {name}")]
    Table {
        /// Name of the device.
        name: String,
        /// Length in sectors of 512 bytes.
        sectors: u64,
        /// Type of the target.
        kind: String,
        /// Parameters of the target.
        parameters: String,
        /// What the kernel said.
        source: io::Error,
    },
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
    /// The device has not exactly one target of that type.
    #[error("device {name} has no {kind} status")]
    OtherKind {
        /// Name of the device.
        name: String,
        /// Type that was expected.
        kind: String,
    },
    /// The device could not be removed.
    #[error("cannot remove device {name}")]
    Remove {
        /// Name of the device.
        name: String,
        /// What the kernel said.
        source: io::Error,
    },
}

/// An active device.
#[derive(Debug)]
pub struct Active {
    name: String,
    number: DeviceNumber,
}

/// Makes a device and starts it. Only its own processes' descriptors keep it in use;
/// no node but `/dev/dm-N` is made.
///
/// # Errors
/// The kernel refuses; no device is left then, unless removing it fails too.
pub fn activate(name: &str, uuid: &str, target: &Target<'_>) -> Result<Active, MapperError> {
    let mut create = Message::new(name)?.uuid(uuid)?;
    send(&control()?, Command::Create, &mut create).map_err(|source| MapperError::Create {
        name: name.to_owned(),
        source,
    })?;
    let active = Active {
        name: name.to_owned(),
        number: create.device(),
    };
    match active.load(target).and_then(|()| active.start()) {
        Ok(()) => Ok(active),
        Err(error) => {
            active.remove()?;
            Err(error)
        }
    }
}

impl Active {
    /// Name of the device.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number.
    pub fn number(&self) -> DeviceNumber {
        self.number
    }

    /// Kernel name of the device, such as `dm-0`.
    pub fn kernel_name(&self) -> String {
        format!("dm-{}", self.number.minor)
    }

    /// Its node, which devtmpfs makes.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/dm-{}", self.number.minor))
    }

    fn load(&self, target: &Target<'_>) -> Result<(), MapperError> {
        let mut load = Message::new(&self.name)?;
        if target.access == Access::ReadOnly {
            load = load.read_only();
        }
        let mut load = load.target(target.kind, target.sectors, target.parameters)?;
        send(&control()?, Command::LoadTable, &mut load).map_err(|source| MapperError::Table {
            name: self.name.clone(),
            sectors: target.sectors,
            kind: target.kind.to_owned(),
            parameters: target.parameters.to_owned(),
            source,
        })
    }

    fn start(&self) -> Result<(), MapperError> {
        let mut resume = Message::new(&self.name)?;
        send(&control()?, Command::Suspend, &mut resume).map_err(|source| MapperError::Start {
            name: self.name.clone(),
            source,
        })
    }

    /// Removes the device; nothing may use it any more. What was written is on the
    /// disk then.
    ///
    /// # Errors
    /// The kernel refuses, for instance because the device is mounted.
    pub fn remove(self) -> Result<(), MapperError> {
        let mut message = Message::new(&self.name)?;
        send(&control()?, Command::Remove, &mut message).map_err(|source| MapperError::Remove {
            name: self.name,
            source,
        })
    }
}

/// What the kernel says of the device of a name, which must be of one target of a type.
///
/// # Errors
/// There is no such device, or it is of another type.
pub fn status(name: &str, kind: &str) -> Result<String, MapperError> {
    let mut message = Message::new(name)?.with_room()?;
    send(&control()?, Command::TableStatus, &mut message).map_err(|source| {
        MapperError::Status {
            name: name.to_owned(),
            source,
        }
    })?;
    message
        .only_target(kind)
        .map(str::to_owned)
        .ok_or_else(|| MapperError::OtherKind {
            name: name.to_owned(),
            kind: kind.to_owned(),
        })
}

fn control() -> Result<File, MapperError> {
    File::options()
        .read(true)
        .write(true)
        .open(CONTROL)
        .map_err(MapperError::Control)
}

fn send(control: &File, command: Command, message: &mut Message) -> io::Result<()> {
    device_mapper::request(control.as_fd(), command, message.buffer())
}
