//! A machine that somebody owns: a disk, a variable store and a TPM that belong together,
//! and that a thief, a technician or a power cut meets between two boots.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use bastide_boot::RootHash;
use bastide_vm::{Configuration, Disk, TPM_STATE, VARIABLES, sparse_copy};

use crate::bench::read;
use crate::disk_copy::DiskCopy;

/// A machine's belongings, in a directory of their own.
#[derive(Clone, Debug)]
pub struct Installation {
    /// Holds the variable store and the TPM's memory; see [`Configuration::state`].
    state: PathBuf,
    disk: Disk,
}

impl Installation {
    /// A machine as it leaves the factory: the disk of `image`, and a TPM and a variable
    /// store that its first start makes. All of it lies in `directory`.
    pub fn new(directory: &Path, image: &Path) -> Result<Self> {
        fs::create_dir_all(directory)?;
        let disk = directory.join("disk.img");
        sparse_copy(image, &disk)?;
        Ok(Self {
            state: directory.join("state"),
            disk: Disk::Own(disk),
        })
    }

    /// The same machine, in `directory`, with a disk that may be changed and keeps what
    /// the machine writes.
    pub fn copy(&self, directory: &Path) -> Result<Self> {
        let mut copy = self.lend(directory)?;
        let disk = directory.join("disk.img");
        sparse_copy(self.disk_path(), &disk)?;
        copy.disk = Disk::Own(disk);
        Ok(copy)
    }

    /// The same machine, in `directory`, on this very disk: what it writes there goes away
    /// when it is switched off. Enough for one boot, and costs no copy.
    pub fn lend(&self, directory: &Path) -> Result<Self> {
        let state = directory.join("state");
        copy_directory(&self.state, &state)?;
        Ok(Self {
            state,
            disk: Disk::Image(self.disk_path().to_owned()),
        })
    }

    fn disk_path(&self) -> &Path {
        match &self.disk {
            Disk::Image(path) | Disk::Own(path) | Disk::Stick(path) => path,
        }
    }

    /// Its disk, as the next machine finds it.
    pub fn disk(&self) -> Disk {
        self.disk.clone()
    }

    /// Its disk, as it is, for a machine whose writes shall go away.
    pub fn disk_to_look_at(&self) -> Disk {
        Disk::Image(self.disk_path().to_owned())
    }

    /// Its disk in an attacker's hands; changes are seen by the next boot.
    pub fn open_disk(&self) -> Result<DiskCopy> {
        DiskCopy::open(self.disk_path())
    }

    /// Makes `machine` this one.
    #[must_use]
    pub fn inhabit(&self, mut machine: Configuration) -> Configuration {
        machine.state = Some(self.state.clone());
        machine.disk(self.disk())
    }

    /// Gives `machine` the TPM and the variable store, but no disk.
    #[must_use]
    pub fn board_of(&self, mut machine: Configuration) -> Configuration {
        machine.state = Some(self.state.clone());
        machine
    }

    /// Takes the TPM out; the next start finds a new one.
    pub fn replace_tpm(&self) -> Result<()> {
        let memory = self.state.join(TPM_STATE);
        fs::remove_dir_all(&memory).with_context(|| format!("cannot remove {}", memory.display()))
    }

    /// The same TPM and variable store with the disk of another installation.
    #[must_use]
    pub fn with_disk_of(&self, other: &Self) -> Self {
        Self {
            state: self.state.clone(),
            disk: other.disk.clone(),
        }
    }

    /// Makes it as it left the factory: a new TPM, and the disk of `image`. Only for a
    /// machine with a disk of its own.
    pub fn begin_anew(&self, image: &Path) -> Result<()> {
        self.replace_tpm()?;
        sparse_copy(image, self.disk_path())?;
        Ok(())
    }

    /// Puts another variable store in.
    pub fn replace_variables(&self, variables: &Path) -> Result<()> {
        let ours = self.state.join(VARIABLES);
        let write = || -> std::io::Result<()> {
            fs::remove_file(&ours)?;
            fs::write(&ours, fs::read(variables)?)
        };
        write().with_context(|| format!("cannot replace {}", ours.display()))
    }

    /// Installs another release, as an update would: its Core in the second slot, its
    /// kernel bundle in place of the present one. `images` is `out/<product>` of it.
    pub fn install_release(&self, images: &Path) -> Result<()> {
        let disk = self.open_disk()?;
        let root_hash = root_hash(images)?;
        const SLOT: &str = "_empty";
        disk.overwrite_partition(SLOT, &images.join("core.img"))?;
        disk.forge_uuid(SLOT, root_hash.partition_uuid())?;
        self.install_bundle(images)
    }

    /// Puts the kernel bundle of `images` in place of the present one; its Core must be
    /// on the disk.
    pub fn install_bundle(&self, images: &Path) -> Result<()> {
        let disk = self.open_disk()?;
        let bundle = read(&images.join("bastide.efi"))?;
        disk.write_boot_file(&disk.bundle_path()?, &bundle)
    }
}

/// The root hash of the Core in `out/<product>`.
pub fn root_hash(images: &Path) -> Result<RootHash> {
    let text = String::from_utf8(read(&images.join("core.roothash"))?)?;
    text.trim().parse().context("core.roothash is no root hash")
}

/// Copies a directory of small files.
fn copy_directory(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let entries = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()))?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_directory(&entry.path(), &target)?;
        } else if entry.file_type()?.is_file() {
            fs::copy(entry.path(), &target)
                .with_context(|| format!("cannot copy {}", entry.path().display()))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_goes_its_own_way() {
        let place = tempfile::tempdir().unwrap();
        let image = place.path().join("image");
        fs::write(&image, "shipped").unwrap();
        let first = Installation::new(&place.path().join("first"), &image).unwrap();
        let memory = place.path().join("first/state").join(TPM_STATE);
        fs::create_dir_all(&memory).unwrap();
        fs::write(memory.join("permanent"), "secret").unwrap();

        let copy = first.copy(&place.path().join("copy")).unwrap();
        copy.replace_tpm().unwrap();
        assert!(memory.join("permanent").exists());
        assert!(
            matches!(copy.disk(), Disk::Own(path) if path.starts_with(place.path().join("copy")))
        );
        let lent = first.lend(&place.path().join("lent")).unwrap();
        assert!(matches!(lent.disk(), Disk::Image(path) if path.ends_with("first/disk.img")));
    }
}
