//! The encrypted state on a disk: where its parts lie, as the standards say, read by code
//! that shares nothing with the machine's own.

use anyhow::{Context, Result, ensure};

use crate::disk_copy::{DiskCopy, Extent};
use crate::integrity::Layout;

/// The name of the partition.
pub const PARTITION: &str = "state";

/// LUKS2 On-Disk Format Specification 1.1.1, 2.1: magic of the first and second header.
const FIRST_MAGIC: &[u8] = b"LUKS\xba\xbe";
const SECOND_MAGIC: &[u8] = b"SKUL\xba\xbe";

/// Offset of the header's size (big endian, 64 bits) in it, and of its JSON area.
const HEADER_SIZE: usize = 8;
const JSON: u64 = 4096;

/// The longest header that the specification allows.
const LARGEST_HEADER: u64 = 4 << 20;

/// A LUKS2 volume on a disk in hand.
#[derive(Debug)]
pub struct State<'disk> {
    disk: &'disk DiskCopy,
    place: Extent,
    header: u64,
}

/// A place in the state, to be spoilt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The JSON text of the first LUKS2 header.
    FirstHeader,
    /// The JSON text of the second LUKS2 header.
    SecondHeader,
    /// The key material of keyslot 0, the TPM's.
    Keyslot,
    /// The superblock of dm-integrity.
    Superblock,
    /// The tag of the first sector, in which the file system's superblock lies.
    FirstTag,
    /// That sector.
    FirstSector,
}

impl<'disk> State<'disk> {
    /// Finds it and makes sure that it is a LUKS2 volume.
    pub fn new(disk: &'disk DiskCopy) -> Result<Self> {
        let place = disk.partition(PARTITION)?;
        let header = disk.read_at(place.start, 512)?;
        ensure!(
            header.starts_with(FIRST_MAGIC),
            "the partition {PARTITION} holds no LUKS volume"
        );
        let size = header[HEADER_SIZE..HEADER_SIZE + 8].try_into()?;
        let size = u64::from_be_bytes(size);
        ensure!(
            (JSON..=LARGEST_HEADER).contains(&size),
            "a LUKS2 header of {size} bytes"
        );
        let state = Self {
            disk,
            place,
            header: size,
        };
        let second = disk.read_at(place.start + size, SECOND_MAGIC.len())?;
        ensure!(
            second == SECOND_MAGIC,
            "there is no second LUKS2 header at {size}"
        );
        Ok(state)
    }

    /// The partition.
    pub fn place(&self) -> Extent {
        self.place
    }

    /// The metadata of the first header, as JSON.
    pub fn metadata(&self) -> Result<serde_json::Value> {
        let length = usize::try_from(self.header - JSON)?;
        let text = self.disk.read_at(self.place.start + JSON, length)?;
        let end = text.iter().position(|byte| *byte == 0);
        let text = &text[..end.context("the LUKS2 metadata has no end")?];
        serde_json::from_slice(text).context("the LUKS2 metadata is no JSON")
    }

    /// A number in the metadata; LUKS2 writes them as text.
    fn number(&self, pointer: &str) -> Result<u64> {
        let metadata = self.metadata()?;
        let text = metadata
            .pointer(pointer)
            .and_then(serde_json::Value::as_str);
        let text = text.with_context(|| format!("the LUKS2 metadata lacks {pointer}"))?;
        text.parse()
            .with_context(|| format!("{pointer} in the LUKS2 metadata is {text:?}"))
    }

    /// Where the data segment, and with it dm-integrity's superblock, starts on the disk.
    pub fn segment(&self) -> Result<u64> {
        Ok(self.place.start + self.number("/segments/0/offset")?)
    }

    /// How dm-integrity divided the segment.
    pub fn layout(&self) -> Result<Layout> {
        let superblock = self.disk.read_at(self.segment()?, 512)?;
        Layout::parse(&superblock)
    }

    /// The offset of a part on the disk.
    pub fn offset(&self, part: Part) -> Result<u64> {
        // Some bytes into each, where something lies that means something.
        Ok(match part {
            Part::FirstHeader => self.place.start + JSON + 20,
            Part::SecondHeader => self.place.start + self.header + JSON + 20,
            Part::Keyslot => self.place.start + self.number("/keyslots/0/area/offset")? + 100,
            Part::Superblock => self.segment()? + crate::integrity::TAG_SIZE_OFFSET,
            Part::FirstTag => self.segment()? + self.layout()?.first_tag(),
            Part::FirstSector => self.segment()? + self.layout()?.first_sector() + 1080,
        })
    }
}
