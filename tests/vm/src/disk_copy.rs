//! A copy of the disk in the hands of an attacker: everything may be changed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use bastide_vm::{Disk, sparse_copy};
use gpt::GptConfig;
use gpt::partition::Partition;
use uuid::Uuid;

/// A private, raw copy of a disk image.
#[derive(Debug)]
pub struct DiskCopy {
    path: PathBuf,
    file: File,
}

/// Where a partition lies, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Extent {
    /// Its first byte.
    pub start: u64,
    /// Its length.
    pub length: u64,
}

impl DiskCopy {
    /// Copies `image` to `path`.
    pub fn new(image: &Path, path: &Path) -> Result<Self> {
        sparse_copy(image, path)?;
        Self::open(path)
    }

    /// Takes a disk in hand that is nobody else's at the moment.
    pub fn open(path: &Path) -> Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(path)
            .with_context(|| format!("cannot open {}", path.display()))?;
        Ok(Self {
            path: path.to_owned(),
            file,
        })
    }

    /// The copy as a disk of a machine.
    pub fn disk(&self) -> Disk {
        Disk::Image(self.path.clone())
    }

    /// Makes a disk in `path` with one partition called `name`, which holds an empty FAT
    /// file system.
    pub fn with_fat(path: &Path, name: &str) -> Result<Self> {
        const SIZE: u64 = 40 << 20;
        const ALIGNMENT: u64 = 2048;
        let mut file =
            File::create_new(path).with_context(|| format!("cannot make {}", path.display()))?;
        file.set_len(SIZE)?;
        let sectors = u32::try_from(SIZE / 512)? - 1;
        gpt::mbr::ProtectiveMBR::with_lb_size(sectors).overwrite_lba0(&mut file)?;
        let mut table = GptConfig::new().writable(true).create(path)?;
        // Its type is what the file system is known by; nobody boots from it.
        let size = 32 << 20;
        table.add_partition(name, size, gpt::partition_types::EFI, 0, Some(ALIGNMENT))?;
        table.write().context("cannot write the partition table")?;
        let disk = Self::open(path)?;
        let window = Window {
            file: disk.file.try_clone()?,
            extent: disk.partition(name)?,
            position: 0,
        };
        fatfs::format_volume(window, fatfs::FormatVolumeOptions::new())
            .context("cannot make a FAT file system")?;
        Ok(disk)
    }

    /// The names of the files in the root directory of the FAT partition.
    pub fn boot_files(&self) -> Result<Vec<String>> {
        self.with_esp(|root| {
            let entries: Vec<_> = root.iter().collect::<io::Result<_>>()?;
            Ok(entries.iter().map(fatfs::DirEntry::file_name).collect())
        })
    }

    fn partitions(&self) -> Result<Vec<Partition>> {
        let table = GptConfig::new()
            .open(&self.path)
            .context("cannot read the partition table")?;
        Ok(table.partitions().values().cloned().collect())
    }

    /// Where the partition called `name` lies.
    pub fn partition(&self, name: &str) -> Result<Extent> {
        let all = self.partitions()?;
        let found = all
            .iter()
            .find(|partition| partition.name == name)
            .with_context(|| format!("the disk has no partition {name}"))?;
        extent(found)
    }

    /// The boot partition, known by its type.
    pub fn boot_partition(&self) -> Result<Extent> {
        let all = self.partitions()?;
        let found = all
            .iter()
            .find(|partition| partition.part_type_guid == gpt::partition_types::EFI)
            .context("the disk has no EFI system partition")?;
        extent(found)
    }

    /// Gives the partition called `name` another identity.
    pub fn forge_uuid(&self, name: &str, uuid: Uuid) -> Result<()> {
        let mut table = GptConfig::new()
            .writable(true)
            .open(&self.path)
            .context("cannot read the partition table")?;
        let mut partitions = table.partitions().clone();
        let found = partitions
            .values_mut()
            .find(|partition| partition.name == name)
            .with_context(|| format!("the disk has no partition {name}"))?;
        found.part_guid = uuid.to_string().parse()?;
        table.update_partitions(partitions)?;
        table.write().context("cannot write the partition table")?;
        Ok(())
    }

    /// Writes at `offset` of the disk.
    pub fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .context("cannot write to the disk copy")
    }

    /// Reads at `offset` of the disk.
    pub fn read_at(&self, offset: u64, length: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.file
            .read_exact_at(&mut bytes, offset)
            .context("cannot read the disk copy")?;
        Ok(bytes)
    }

    /// Turns every bit of `length` bytes over.
    pub fn invert(&self, offset: u64, length: usize) -> Result<()> {
        let mut bytes = self.read_at(offset, length)?;
        for byte in &mut bytes {
            *byte = !*byte;
        }
        self.write_at(offset, &bytes)
    }

    /// Turns one bit over.
    pub fn flip_bit(&self, offset: u64, bit: u8) -> Result<()> {
        let mut byte = self.read_at(offset, 1)?;
        byte[0] ^= 1 << bit;
        self.write_at(offset, &byte)
    }

    /// Replaces the start of a partition by a file.
    pub fn overwrite_partition(&self, name: &str, content: &Path) -> Result<()> {
        let place = self.partition(name)?;
        let bytes =
            std::fs::read(content).with_context(|| format!("cannot read {}", content.display()))?;
        ensure!(
            bytes.len() as u64 <= place.length,
            "{name} is too small for {}",
            content.display()
        );
        self.write_at(place.start, &bytes)
    }

    fn with_esp<T>(&self, work: impl FnOnce(&EspRoot<'_>) -> Result<T>) -> Result<T> {
        let window = Window {
            file: self.file.try_clone()?,
            extent: self.boot_partition()?,
            position: 0,
        };
        let options = fatfs::FsOptions::new().update_accessed_date(false);
        let system =
            fatfs::FileSystem::new(window, options).context("cannot read the boot partition")?;
        let result = work(&system.root_dir());
        system
            .unmount()
            .context("cannot finish writing the boot partition")?;
        result
    }

    /// Reads a file of the boot partition.
    pub fn read_boot_file(&self, path: &str) -> Result<Vec<u8>> {
        self.with_esp(|root| {
            let mut bytes = Vec::new();
            root.open_file(path)
                .and_then(|mut file| file.read_to_end(&mut bytes))
                .with_context(|| format!("cannot read {path} on the boot partition"))?;
            Ok(bytes)
        })
    }

    /// Removes everything from the boot partition.
    pub fn empty_boot_partition(&self) -> Result<()> {
        self.with_esp(remove_all)
    }

    /// Writes a file of the boot partition, with the directories above it.
    pub fn write_boot_file(&self, path: &str, bytes: &[u8]) -> Result<()> {
        self.with_esp(|root| {
            for (end, _) in path.match_indices('/') {
                root.create_dir(&path[..end]).with_context(|| {
                    format!("cannot make {} on the boot partition", &path[..end])
                })?;
            }
            let mut file = root
                .create_file(path)
                .with_context(|| format!("cannot make {path} on the boot partition"))?;
            file.truncate()?;
            file.write_all(bytes)?;
            file.flush()?;
            Ok(())
        })
    }

    /// The path of the kernel bundle, which has the product's name and version in it.
    pub fn bundle_path(&self) -> Result<String> {
        self.with_esp(|root| {
            let directory = root
                .open_dir("EFI/Linux")
                .context("there is no EFI/Linux")?;
            for entry in directory.iter() {
                let name = entry?.file_name();
                if name.ends_with(".efi") {
                    return Ok(format!("EFI/Linux/{name}"));
                }
            }
            anyhow::bail!("there is no kernel bundle in EFI/Linux")
        })
    }
}

fn remove_all(directory: &EspRoot<'_>) -> Result<()> {
    let entries: Vec<_> = directory.iter().collect::<io::Result<_>>()?;
    for entry in entries {
        let name = entry.file_name();
        if name == "." || name == ".." {
            continue;
        }
        if entry.is_dir() {
            remove_all(&entry.to_dir())?;
        }
        directory
            .remove(&name)
            .with_context(|| format!("cannot remove {name} from the boot partition"))?;
    }
    Ok(())
}

type EspRoot<'system> = fatfs::Dir<'system, Window>;

fn extent(partition: &Partition) -> Result<Extent> {
    let size = gpt::disk::DEFAULT_SECTOR_SIZE;
    Ok(Extent {
        start: partition.bytes_start(size)?,
        length: partition.bytes_len(size)?,
    })
}

/// A partition as a file of its own.
struct Window {
    file: File,
    extent: Extent,
    position: u64,
}

impl Window {
    fn room(&self, wanted: usize) -> usize {
        let left = self.extent.length.saturating_sub(self.position);
        usize::try_from(left).map_or(wanted, |left| left.min(wanted))
    }
}

impl Read for Window {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room(buffer.len());
        let read = self
            .file
            .read_at(&mut buffer[..room], self.extent.start + self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Write for Window {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = self.room(bytes.len());
        let written = self
            .file
            .write_at(&bytes[..room], self.extent.start + self.position)?;
        self.position += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Window {
    fn seek(&mut self, target: SeekFrom) -> io::Result<u64> {
        let position = match target {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::End(offset) => self.extent.length.checked_add_signed(offset),
            SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}
