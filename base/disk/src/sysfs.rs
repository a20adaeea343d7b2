//! What the kernel knows of disks: `/sys/class/block`.

use std::{fs, io, path::Path};

use crate::{DeviceNumber, DiskError};

const BLOCK_DEVICES: &str = "/sys/class/block";

/// Sysfs counts in sectors of 512 bytes, whatever the disk's blocks.
const SECTOR: u64 = 512;

/// A whole disk.
#[derive(Debug)]
pub struct Disk {
    pub sequence: u64,
    pub block_size: u64,
    pub partitions: Vec<KnownPartition>,
}

/// A partition as the kernel knows it; start and size in bytes.
#[derive(Debug)]
pub struct KnownPartition {
    pub name: String,
    pub index: u32,
    pub number: DeviceNumber,
    pub start: u64,
    pub size: u64,
}

/// Names of all disks, in order.
pub fn disks() -> Result<Vec<String>, DiskError> {
    let mut names = entries(Path::new(BLOCK_DEVICES))?;
    names.retain(|name| {
        let path = Path::new(BLOCK_DEVICES).join(name);
        // Partitions have a number; loop, RAM and device-mapper devices no hardware.
        path.join("device").exists() && !path.join("partition").exists()
    });
    Ok(names)
}

/// What the kernel knows of a disk.
pub fn disk(name: &str) -> Result<Disk, DiskError> {
    let path = Path::new(BLOCK_DEVICES).join(name);
    Ok(Disk {
        sequence: number(&path.join("diskseq"))?,
        block_size: number(&path.join("queue/logical_block_size"))?,
        partitions: partitions(&path)?,
    })
}

fn partitions(disk: &Path) -> Result<Vec<KnownPartition>, DiskError> {
    let mut partitions = Vec::new();
    for name in entries(disk)? {
        let path = disk.join(&name);
        let index = path.join("partition");
        if !index.exists() {
            continue;
        }
        partitions.push(KnownPartition {
            index: u32::try_from(number(&index)?)
                .map_err(|_| DiskError::Malformed(index.clone()))?,
            number: device_number(&path.join("dev"))?,
            start: bytes(&path.join("start"))?,
            size: bytes(&path.join("size"))?,
            name,
        });
    }
    partitions.sort_by_key(|partition| partition.index);
    Ok(partitions)
}

fn entries(directory: &Path) -> Result<Vec<String>, DiskError> {
    let read = |source: io::Error| DiskError::Read {
        path: directory.to_owned(),
        source,
    };
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(read)? {
        // The kernel's names are plain ASCII.
        names.push(
            entry
                .map_err(read)?
                .file_name()
                .into_string()
                .map_err(|name| DiskError::Malformed(directory.join(name)))?,
        );
    }
    names.sort();
    Ok(names)
}

fn text(path: &Path) -> Result<String, DiskError> {
    fs::read_to_string(path)
        .map(|text| text.trim_end().to_owned())
        .map_err(|source| DiskError::Read {
            path: path.to_owned(),
            source,
        })
}

fn number(path: &Path) -> Result<u64, DiskError> {
    text(path)?
        .parse()
        .map_err(|_| DiskError::Malformed(path.to_owned()))
}

fn bytes(path: &Path) -> Result<u64, DiskError> {
    number(path)?
        .checked_mul(SECTOR)
        .ok_or_else(|| DiskError::Malformed(path.to_owned()))
}

fn device_number(path: &Path) -> Result<DeviceNumber, DiskError> {
    parse_device_number(&text(path)?).ok_or_else(|| DiskError::Malformed(path.to_owned()))
}

fn parse_device_number(text: &str) -> Option<DeviceNumber> {
    let (major, minor) = text.split_once(':')?;
    Some(DeviceNumber {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_numbers_are_read() {
        assert_eq!(
            parse_device_number("254:2"),
            Some(DeviceNumber {
                major: 254,
                minor: 2
            })
        );
        for text in ["", "254", "254:", ":2", "a:b", "254:2:1"] {
            assert_eq!(parse_device_number(text), None, "{text}");
        }
    }
}
