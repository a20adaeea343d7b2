//! Finding partitions by type and identity, on whatever disks there are.
//!
//! Disks are hostile: anyone may plug one in with any partition table. A table that
//! cannot be read counts as none and is reported, so that a bad disk never keeps a good
//! one from being found. What a partition holds must be proven by other means; this
//! crate only says where it is. It never writes.
#![forbid(unsafe_code)]

mod backoff;
mod sysfs;
mod table;

use std::{fmt, fs, io, path::PathBuf};

use uuid::Uuid;

pub use backoff::Backoff;
pub use table::{Entry, TableError, read_table};

/// Major and minor number of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// A partition that both the disk's table and the kernel know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Kernel name, such as `vda2`.
    pub name: String,
    /// Kernel name of its disk, such as `vda`.
    pub disk: String,
    /// Number of the disk among all that were ever there; another disk in the same
    /// place has another.
    pub disk_sequence: u64,
    /// Device number.
    pub number: DeviceNumber,
    /// Type, as the table says.
    pub kind: Uuid,
    /// Identity, as the table says.
    pub uuid: Uuid,
    /// Name, as the table says: at most 36 characters, whatever they are.
    pub label: String,
    /// Size in bytes.
    pub size: u64,
}

impl Partition {
    /// Its node, which devtmpfs makes.
    pub fn path(&self) -> PathBuf {
        PathBuf::from("/dev").join(&self.name)
    }
}

/// What was found on all disks.
#[derive(Debug, Default)]
pub struct Scan {
    /// Partitions, by disk and number.
    pub partitions: Vec<Partition>,
    /// Kernel names of all whole disks, in order.
    pub disks: Vec<String>,
    /// Disks whose partitions could not be read, and why.
    pub unreadable: Vec<(String, DiskError)>,
}

/// Why disks could not be looked at.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// A file of sysfs cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// A file of sysfs holds something unexpected.
    #[error("cannot make sense of {}", .0.display())]
    Malformed(PathBuf),
    /// The disk's blocks have a size that partition tables are not made for.
    #[error("blocks of {0} bytes")]
    BlockSize(u64),
    /// No usable partition table.
    #[error("no usable partition table")]
    Table(#[from] TableError),
}

/// Looks at all disks that hardware or the hypervisor provides.
///
/// # Errors
/// The list of disks cannot be read; a single bad disk is no error.
pub fn scan() -> Result<Scan, DiskError> {
    let mut scan = Scan::default();
    for disk in sysfs::disks()? {
        match partitions(&disk) {
            Ok(partitions) => scan.partitions.extend(partitions),
            Err(error) => scan.unreadable.push((disk.clone(), error)),
        }
        scan.disks.push(disk);
    }
    Ok(scan)
}

fn partitions(name: &str) -> Result<Vec<Partition>, DiskError> {
    let disk = sysfs::disk(name)?;
    let path = PathBuf::from("/dev").join(name);
    let device = fs::File::open(&path).map_err(|source| DiskError::Read { path, source })?;
    let entries = read_table(device, disk.block_size)?;
    Ok(disk
        .partitions
        .into_iter()
        .filter_map(|known| {
            // Where table and kernel differ, the disk was changed under the kernel.
            let entry = entries.iter().find(|entry| {
                (entry.index, entry.start, entry.size) == (known.index, known.start, known.size)
            })?;
            Some(Partition {
                name: known.name,
                disk: name.to_owned(),
                disk_sequence: disk.sequence,
                number: known.number,
                kind: entry.kind,
                uuid: entry.uuid,
                label: entry.label.clone(),
                size: known.size,
            })
        })
        .collect())
}
