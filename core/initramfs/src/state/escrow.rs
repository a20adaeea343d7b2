//! The escrow medium: where the recovery key is kept when nobody is there to see it.
//!
//! A partition with a FAT file system whose name in the partition table is
//! `bastide-escrow`, on any disk but the machine's own. Whoever prepares an installation
//! makes it, and takes it away after the first boot.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result};
use bastide_mount::{Esp, EspAccess};
use bastide_tpm_policy::RecoveryKey;

use super::keys::random;

/// The name of the partition.
const NAME: &str = "bastide-escrow";

/// Where it is mounted while it is needed.
const PLACE: &str = "/escrow";

/// Keeps the key on the escrow medium and says where; `None` where there is no medium.
///
/// # Errors
/// There is one, and it cannot be written: its owner relies on it.
pub fn keep(key: &RecoveryKey, own_disk: &str) -> Result<Option<String>> {
    let scan = bastide_disk::scan().context("cannot look for an escrow medium")?;
    let Some(medium) = scan
        .partitions
        .into_iter()
        .find(|partition| partition.label == NAME && partition.disk != own_disk)
    else {
        return Ok(None);
    };
    let name = format!("recovery-key-{}.txt", hex::encode(&random::<4>()?[..]));
    write(&medium.path(), &name, key)
        .with_context(|| format!("cannot keep the recovery key on {}", medium.name))?;
    Ok(Some(format!("{} as {name}", medium.name)))
}

fn write(device: &Path, name: &str, key: &RecoveryKey) -> Result<()> {
    let place = Path::new(PLACE);
    fs::create_dir_all(place)?;
    let mounted = Esp::mount(device, place, EspAccess::ReadWrite)?;
    let path = place.join(name);
    let written = File::create_new(&path).and_then(|mut file| {
        file.write_all(format!("{}\r\n", key.text()).as_bytes())?;
        file.sync_all()
    });
    mounted.unmount()?;
    written.with_context(|| format!("cannot write {name}"))
}
