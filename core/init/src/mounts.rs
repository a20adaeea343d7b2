//! The file systems that the Core runs with, besides its own.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use anyhow::{Context, Result};
use bastide_mount::{Virtual, mount_virtual, mount_virtual_made};
use rustix::fs::statfs;

use crate::kernel_log::say;
use crate::supervisor::Level;

const PROC_MAGIC: i64 = 0x9fa0;
const SYSFS_MAGIC: i64 = 0x6265_6572;
const TMPFS_MAGIC: i64 = 0x0102_1994;
const EXT4_MAGIC: i64 = 0xef53;

/// Where devices are; devtmpfs has tmpfs's magic number, so its look tells.
const DEVICES: &str = "/dev";

/// Mounts what is not there yet. The initramfs may have handed over /proc, /sys,
/// /dev and /run.
///
/// # Errors
/// When one cannot be mounted without which the Core does not work.
pub fn all() -> Result<()> {
    if !Path::new(DEVICES).join("null").exists() {
        mount_virtual(Virtual::Devices, Path::new(DEVICES))?;
    }
    let root = fs::metadata("/").context("cannot look at /")?.dev();
    for (what, target, magic) in [
        (Virtual::Processes, "/proc", PROC_MAGIC),
        (Virtual::Kernel, "/sys", SYSFS_MAGIC),
        (Virtual::Runtime, "/run", TMPFS_MAGIC),
        // The state, which only the initramfs can open. A Core without one forgets
        // everything when it stops.
        (Virtual::Variable, "/var", EXT4_MAGIC),
        (Virtual::Temporary, "/tmp", TMPFS_MAGIC),
    ] {
        let target = Path::new(target);
        let found =
            statfs(target).with_context(|| format!("cannot look at {}", target.display()))?;
        // A directory of the root is no mount, whatever the root's file system.
        if found.f_type != magic || fs::metadata(target)?.dev() == root {
            mount_virtual(what, target)?;
        }
    }
    mount_virtual(Virtual::Groups, Path::new("/sys/fs/cgroup"))?;
    mount_virtual_made(Virtual::Terminals, Path::new("/dev/pts"))?;

    // The Core works without these two; the status page says what it cannot read then.
    for (what, target) in [
        (Virtual::Security, "/sys/kernel/security"),
        (Virtual::FirmwareVariables, "/sys/firmware/efi/efivars"),
    ] {
        let target = Path::new(target);
        let empty = fs::read_dir(target).is_ok_and(|mut entries| entries.next().is_none());
        if empty && let Err(error) = mount_virtual(what, target) {
            say(Level::Warning, &format!("{:#}", anyhow::Error::from(error)));
        }
    }
    fs::create_dir_all("/run/bastide").context("cannot make /run/bastide")?;
    Ok(())
}
