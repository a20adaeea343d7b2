//! Devices.

use std::fs::File;

use anyhow::Result;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

/// Opens a device to read.
pub fn open(path: &str) -> Result<()> {
    File::open(path)?;
    Ok(())
}

/// Opens a device to write; nothing is written.
pub fn open_to_write(path: &str) -> Result<()> {
    File::options().write(true).open(path)?;
    Ok(())
}

/// Makes a node for the first disk where it may write, and opens it.
pub fn make_device() -> Result<()> {
    let node = "/tmp/disk";
    let disk = makedev(254, 0);
    mknodat(CWD, node, FileType::BlockDevice, Mode::RUSR, disk)?;
    File::open(node)?;
    Ok(())
}
