//! One partition that claims to be the Core.

use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use bastide_boot::{
    BLOCK_SIZE, CORE_INIT, FEC_ROOTS, Geometry, RootHash, SUPERBLOCK_SIZE, Superblock,
};
use bastide_disk::Partition;
use bastide_keyring::SignatureKey;
use bastide_mount::{mount_image, unmount_now};
use bastide_verity::{Active, Layout, Volume, activate};

/// Name of the verified device.
const DEVICE: &str = "core";

/// Where the Core is mounted until it becomes the root.
pub const NEW_ROOT: &str = "/root";

/// The Core that the signed command line names.
#[derive(Debug)]
pub struct Wanted {
    /// Its root hash.
    pub root_hash: RootHash,
    /// Where its parts lie.
    pub geometry: Geometry,
    /// Its root hash's signature, in the kernel's hands.
    pub signature: SignatureKey,
}

/// A Core that is mounted at [`NEW_ROOT`] and whose first program could be read.
/// Only [`verify`] makes one.
#[derive(Debug)]
#[must_use]
pub struct Verified {
    /// Kernel name of the verified device.
    pub device: String,
    /// Blocks that were repaired while looking.
    pub corrected_blocks: u64,
}

/// How much of a candidate is read before it is taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Probe {
    /// Its ends and its first program: fast, enough where there is no other.
    Start,
    /// Every block: a copy with holes on another disk must not win over the whole one.
    Everything,
}

/// Activates and mounts a candidate. Nothing is left of one that is refused.
pub fn verify(wanted: &Wanted, partition: &Partition, probe: Probe) -> Result<Verified> {
    let superblock = superblock(wanted, partition)?;
    let active = activate(&Volume {
        name: DEVICE,
        uuid: &uuid_of_device(&superblock),
        partition: partition.number,
        layout: layout(&wanted.geometry),
        root_hash: wanted.root_hash.as_bytes(),
        salt: &superblock.salt,
        signature_key: wanted.signature.description(),
    })?;
    match mount_and_probe(wanted, &active, probe) {
        Ok(corrected_blocks) => Ok(Verified {
            device: active.kernel_name(),
            corrected_blocks,
        }),
        Err(refused) => {
            let refused = explain(refused, &active);
            active
                .remove()
                .with_context(|| format!("and cannot be put away after: {refused:#}"))?;
            Err(refused)
        }
    }
}

fn superblock(wanted: &Wanted, partition: &Partition) -> Result<Superblock> {
    let needed = wanted.geometry.size();
    ensure!(
        partition.size >= needed,
        "partition has {} bytes, the core {needed}",
        partition.size
    );
    let path = partition.path();
    let device = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = [0; SUPERBLOCK_SIZE];
    let offset = wanted.geometry.data_blocks * u64::from(BLOCK_SIZE);
    device
        .read_exact_at(&mut bytes, offset)
        .with_context(|| format!("cannot read verity superblock of {}", path.display()))?;
    Ok(Superblock::parse(&bytes, &wanted.geometry)?)
}

fn layout(geometry: &Geometry) -> Layout {
    Layout {
        block_size: BLOCK_SIZE,
        data_blocks: geometry.data_blocks,
        hash_start: geometry.hash_start,
        fec_start: geometry.fec_start,
        fec_blocks: geometry.fec_blocks,
        fec_roots: FEC_ROOTS,
    }
}

/// As libcryptsetup names its devices, so that `veritysetup status` knows ours.
fn uuid_of_device(superblock: &Superblock) -> String {
    format!("CRYPT-VERITY-{}-{DEVICE}", superblock.uuid.simple())
}

fn mount_and_probe(wanted: &Wanted, active: &Active, probe: Probe) -> Result<u64> {
    let root = Path::new(NEW_ROOT);
    mount_image(&active.path(), root)?;
    match read_what_must_be_readable(wanted, active, root, probe) {
        Ok(corrected) => Ok(corrected),
        Err(refused) => {
            unmount_now(root).with_context(|| format!("after: {refused:#}"))?;
            Err(refused)
        }
    }
}

/// Better refuse here, with a reason, than die as PID 1.
fn read_what_must_be_readable(
    wanted: &Wanted,
    active: &Active,
    root: &Path,
    probe: Probe,
) -> Result<u64> {
    let mut device = File::open(active.path()).context("cannot open the verified device")?;
    match probe {
        Probe::Start => {
            let mut block = vec![0; BLOCK_SIZE as usize];
            for number in [0, wanted.geometry.data_blocks - 1] {
                device
                    .read_exact_at(&mut block, number * u64::from(BLOCK_SIZE))
                    .with_context(|| format!("cannot read data block {number}"))?;
            }
        }
        Probe::Everything => read_to_end(&mut device).context("cannot read all data blocks")?,
    }
    read_program(&root.join(CORE_INIT.trim_start_matches('/')))
        .with_context(|| format!("cannot read {CORE_INIT} of the core"))?;
    // Whatever could be read is what was signed. That the kernel has seen corruption
    // means nothing then: it also says so of hash blocks that it went on to repair.
    Ok(active.status()?.corrected)
}

/// A read error may come from the disk or from blocks that are not what was signed; only
/// the kernel knows.
fn explain(refused: anyhow::Error, active: &Active) -> anyhow::Error {
    match active.status() {
        Ok(status) if status.corrupted => refused.context("blocks corrupted beyond repair"),
        Ok(_) => refused,
        Err(error) => refused.context(format!("its state is unknown: {error}")),
    }
}

fn read_program(path: &Path) -> Result<()> {
    let mut file = File::open(path)?;
    ensure!(file.metadata()?.is_file(), "not a file");
    Ok(read_to_end(&mut file)?)
}

fn read_to_end(file: &mut File) -> io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while file.read(&mut buffer)? != 0 {}
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_read_to_their_end_and_nothing_else_is_taken_for_one() {
        assert!(read_program(Path::new("/proc/self/exe")).is_ok());
        assert!(read_program(Path::new("/dev/null")).is_err());
        assert!(read_program(Path::new("/nowhere")).is_err());
    }
}
