//! The escrow medium: where the recovery key is kept when nobody is there to see it.
//!
//! A partition with a FAT file system whose name in the partition table is
//! `bastide-escrow`, on any disk but the machine's own. Whoever prepares an installation
//! makes it, and takes it away after the first boot.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
    thread::sleep,
    time::Duration,
};

use anyhow::{Context, Result};
use bastide_disk::{Backoff, Partition};
use bastide_mount::{Esp, EspAccess};
use bastide_tpm_policy::RecoveryKey;
use rustix::time::{ClockId, clock_gettime};

use super::keys::random;

/// The name of the partition.
const NAME: &str = "bastide-escrow";

/// Where it is mounted while it is needed.
const PLACE: &str = "/escrow";

/// How long after the kernel's start a medium may take to appear, as USB does. Making the
/// state takes most of that; only the rest is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the key on the escrow medium and says where; `None` where there is no medium.
///
/// # Errors
/// There is one, and it cannot be written: its owner relies on it.
pub fn keep(key: &RecoveryKey, own_disk: &str) -> Result<Option<String>> {
    let scan = || -> Result<Vec<Partition>> {
        let scan = bastide_disk::scan().context("cannot look for an escrow medium")?;
        Ok(scan.partitions)
    };
    let pauses = Backoff::new(PATIENCE.saturating_sub(since_start()));
    let Some(medium) = find(own_disk, scan, pauses)? else {
        return Ok(None);
    };
    let name = format!("recovery-key-{}.txt", hex::encode(&random::<4>()?[..]));
    write(&medium.path(), &name, key)
        .with_context(|| format!("cannot keep the recovery key on {}", medium.name))?;
    Ok(Some(format!("{} as {name}", medium.name)))
}

/// The medium, as soon as it is there.
fn find(
    own_disk: &str,
    mut scan: impl FnMut() -> Result<Vec<Partition>>,
    mut pauses: impl Iterator<Item = Duration>,
) -> Result<Option<Partition>> {
    loop {
        let medium = scan()?
            .into_iter()
            .find(|partition| partition.label == NAME && partition.disk != own_disk);
        if medium.is_some() {
            return Ok(medium);
        }
        match pauses.next() {
            Some(pause) => sleep(pause),
            None => return Ok(None),
        }
    }
}

/// Since the kernel started; that clock is never before zero, which is all that could fail.
fn since_start() -> Duration {
    Duration::try_from(clock_gettime(ClockId::Boottime)).unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use bastide_disk::DeviceNumber;
    use uuid::Uuid;

    use super::*;

    fn partition(disk: &str, label: &str) -> Partition {
        Partition {
            name: format!("{disk}1"),
            disk: disk.to_owned(),
            disk_sequence: 1,
            number: DeviceNumber { major: 8, minor: 1 },
            kind: Uuid::nil(),
            uuid: Uuid::nil(),
            label: label.to_owned(),
            size: 1 << 20,
        }
    }

    #[test]
    fn a_medium_that_comes_late_is_found() {
        let mut looks = 0;
        let scan = || {
            looks += 1;
            Ok(match looks {
                1 | 2 => vec![partition("vda", NAME), partition("sdb", "data")],
                _ => vec![partition("vda", NAME), partition("sdb", NAME)],
            })
        };
        let found = find("vda", scan, std::iter::repeat_n(Duration::ZERO, 5)).unwrap();
        assert_eq!(found.unwrap().name, "sdb1");
        assert_eq!(looks, 3);
    }

    #[test]
    fn the_machines_own_disk_is_none() {
        let scan = || Ok(vec![partition("vda", NAME)]);
        let found = find("vda", scan, std::iter::repeat_n(Duration::ZERO, 5)).unwrap();
        assert!(found.is_none());
    }
}
