//! Reading a GUID partition table that anyone may have written.

use std::io::{self, BufReader, Read, Seek};

use gpt::{
    disk::LogicalBlockSize,
    header::{HeaderError, read_header_from_arbitrary_device},
    partition::file_read_partitions,
};
use uuid::Uuid;

use crate::DiskError;

/// Most entries a table may have; everyone writes 128.
const MOST_ENTRIES: u32 = 1024;

/// The only entry size in use, and the only one that the crate `gpt` can read: it
/// panics on others, so they must not reach it.
const ENTRY_SIZE: u32 = 128;

/// An entry of a partition table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its place in the table, from 1: the partition's number.
    pub index: u32,
    /// Type of the partition.
    pub kind: Uuid,
    /// Identity of the partition.
    pub uuid: Uuid,
    /// Name in the table, at most 36 characters, whatever they are.
    pub label: String,
    /// Where the partition starts, in bytes.
    pub start: u64,
    /// Size of the partition, in bytes.
    pub size: u64,
}

/// Why a partition table is refused.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// There is no valid primary header.
    #[error("no valid GPT header")]
    Header(#[source] HeaderError),
    /// The header asks for more than any honest table does.
    #[error("GPT header tells of {entries} entries of {size} bytes")]
    Shape {
        /// Number of entries.
        entries: u32,
        /// Bytes of each.
        size: u32,
    },
    /// The entries cannot be read or do not match their checksum.
    #[error("GPT entries cannot be read")]
    Entries(#[source] io::Error),
}

/// Reads the entries that make sense, from the primary table. The backup is left alone:
/// the kernel does not look at it where the primary is bad, so it could not name a
/// partition that the kernel knows.
///
/// # Errors
/// No valid table, or one that asks for more than any honest table does.
pub fn read_table<D: Read + Seek>(device: D, block_size: u64) -> Result<Vec<Entry>, DiskError> {
    let block =
        LogicalBlockSize::try_from(block_size).map_err(|_| DiskError::BlockSize(block_size))?;
    let mut device = BufReader::new(device);
    let header =
        read_header_from_arbitrary_device(&mut device, block).map_err(TableError::Header)?;
    if header.part_size != ENTRY_SIZE || header.num_parts > MOST_ENTRIES {
        return Err(DiskError::Table(TableError::Shape {
            entries: header.num_parts,
            size: header.part_size,
        }));
    }
    let partitions =
        file_read_partitions(&mut device, &header, block).map_err(TableError::Entries)?;
    Ok(partitions
        .into_iter()
        .filter_map(|(index, partition)| {
            Some(Entry {
                index,
                kind: partition.part_type_guid.guid,
                uuid: partition.part_guid,
                label: partition.name.clone(),
                start: partition.bytes_start(block).ok()?,
                size: partition.bytes_len(block).ok()?,
            })
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use gpt::{GptConfig, partition_types};

    use super::*;

    const MIB: usize = 1024 * 1024;

    fn disk() -> Vec<u8> {
        disk_of(LogicalBlockSize::Lb512)
    }

    fn disk_of(block: LogicalBlockSize) -> Vec<u8> {
        let mut table = GptConfig::new()
            .writable(true)
            .logical_block_size(block)
            .create_from_device(Cursor::new(vec![0; 4 * MIB]), None)
            .unwrap();
        table
            .add_partition("one", 65_536, partition_types::EFI, 0, None)
            .unwrap();
        table
            .add_partition("two", 131_072, partition_types::LINUX_FS, 0, None)
            .unwrap();
        table.write().unwrap().into_inner()
    }

    fn crc32(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(u32::MAX, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
            })
        })
    }

    /// Changes a field of the header and makes its checksum right again.
    fn forged(position: usize, value: &[u8]) -> Vec<u8> {
        let mut disk = disk();
        let header = &mut disk[512..512 + 92];
        header[position..position + value.len()].copy_from_slice(value);
        header[16..20].fill(0);
        let crc = crc32(header);
        header[16..20].copy_from_slice(&crc.to_le_bytes());
        disk
    }

    #[test]
    fn a_good_table_is_read() {
        let entries = read_table(Cursor::new(disk()), 512).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].index, 1);
        assert_eq!(entries[0].kind, partition_types::EFI.guid);
        assert_eq!(entries[0].size, 65_536);
        assert_eq!(entries[0].label, "one");
        assert_eq!(entries[1].start, entries[0].start + 65_536);
        assert_ne!(entries[0].uuid, entries[1].uuid);
    }

    #[test]
    fn disks_with_large_blocks_are_read() {
        let disk = disk_of(LogicalBlockSize::Lb4096);
        let entries = read_table(Cursor::new(&disk), 4096).unwrap();
        assert_eq!(entries[0].size, 65_536);
        assert!(read_table(Cursor::new(&disk), 512).is_err());
    }

    #[test]
    fn disks_without_a_table_are_refused() {
        for bytes in [
            Vec::new(),
            vec![0; 512],
            vec![0; MIB],
            disk()[..700].to_vec(),
        ] {
            assert!(read_table(Cursor::new(bytes), 512).is_err());
        }
        assert!(matches!(
            read_table(Cursor::new(disk()), 520),
            Err(DiskError::BlockSize(520))
        ));
        assert!(read_table(Cursor::new(disk()), 4096).is_err());
    }

    #[test]
    fn damaged_tables_are_refused() {
        for position in [512, 512 + 40, 512 + 80, 1024, 1024 + 127] {
            let mut disk = disk();
            disk[position] ^= 1;
            assert!(read_table(Cursor::new(disk), 512).is_err(), "{position}");
        }
    }

    #[test]
    fn forged_headers_are_refused_without_a_panic() {
        for size in [0, 1, 127, 256, u32::MAX] {
            assert!(matches!(
                read_table(Cursor::new(forged(84, &size.to_le_bytes())), 512),
                Err(DiskError::Table(TableError::Shape { .. }))
            ));
        }
        for entries in [MOST_ENTRIES + 1, u32::MAX] {
            assert!(matches!(
                read_table(Cursor::new(forged(80, &entries.to_le_bytes())), 512),
                Err(DiskError::Table(TableError::Shape { .. }))
            ));
        }
        for start in [0, 1 << 20, u64::MAX / 512, u64::MAX] {
            assert!(matches!(
                read_table(Cursor::new(forged(72, &start.to_le_bytes())), 512),
                Err(DiskError::Table(TableError::Entries(_)))
            ));
        }
    }

    #[test]
    fn forged_entries_are_passed_over() {
        let mut disk = disk();
        // The second entry ends before it starts.
        disk[1024 + 128 + 40..1024 + 128 + 48].fill(0);
        let crc = crc32(&disk[1024..1024 + 128 * 128]);
        disk[512 + 88..512 + 92].copy_from_slice(&crc.to_le_bytes());
        disk[512 + 16..512 + 20].fill(0);
        let crc = crc32(&disk[512..512 + 92]);
        disk[512 + 16..512 + 20].copy_from_slice(&crc.to_le_bytes());
        let entries = read_table(Cursor::new(disk), 512).unwrap();
        assert_eq!(entries.len(), 1);
    }
}
