//! Firmware variables: what the boot loader measured, and the reason of a refusal.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::fd::AsFd,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};
use bastide_boot::LoaderTimes;
use bastide_efi::{
    Attributes, EFIVARFS, FAILURE_VARIABLE, LOADER_DEVICE_PART_UUID, LOADER_TIME_EXEC,
    LOADER_TIME_INIT, LoaderError, Variable, VariableName, decode_failure, encode_failure,
    partition_uuid, time_microseconds,
};
use bastide_mount::{Virtual, mount_virtual, set_variables_writable};
use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};
use uuid::Uuid;

use crate::{console::say, files::read_bounded};

/// Variables read here are shorter; the firmware may hold others.
const LONGEST: usize = 4096;

/// Makes the firmware's variables readable, where there are any: a virtual machine that
/// starts the kernel directly has none, and boots without.
pub fn mount() -> Result<()> {
    let variables = Path::new(EFIVARFS);
    if variables.is_dir() {
        mount_virtual(Virtual::FirmwareVariables, variables)?;
    }
    Ok(())
}

/// What the boot loader measured; nothing where it did not, or wrote nonsense.
pub fn loader_times() -> LoaderTimes {
    LoaderTimes {
        init: loader_variable(LOADER_TIME_INIT, time_microseconds),
        exec: loader_variable(LOADER_TIME_EXEC, time_microseconds),
    }
}

/// The partition the boot loader came from, as far as it told.
pub fn boot_partition() -> Option<Uuid> {
    loader_variable(LOADER_DEVICE_PART_UUID, partition_uuid)
}

fn loader_variable<T>(
    name: VariableName,
    parse: impl Fn(&[u8]) -> Result<T, LoaderError>,
) -> Option<T> {
    // None of these decides anything but an order: whatever is wrong with one, boot on.
    let value = read(name).and_then(|data| data.map(|data| Ok(parse(&data)?)).transpose());
    value.unwrap_or_else(|error| {
        say(&format!("firmware variable passed over ({error:#})"));
        None
    })
}

/// Why the boot before was refused, if it was; told once, then forgotten. Firmware that
/// cannot tell or forget must not keep a good Core from booting.
pub fn take_failure() -> Option<String> {
    let told = read(FAILURE_VARIABLE).and_then(|data| {
        let Some(data) = data else { return Ok(None) };
        change(|path| Ok(fs::remove_file(path)?))?;
        Ok(Some(decode_failure(&data)))
    });
    told.unwrap_or_else(|error| {
        say(&format!(
            "reason of the last refusal passed over ({error:#})"
        ));
        None
    })
}

/// Keeps the reason of a refusal, unless it is the one kept already: flash memory
/// wears out.
pub fn keep_failure(reason: &str) -> Result<()> {
    if !Path::new(EFIVARFS).is_dir() {
        return Ok(());
    }
    let data = encode_failure(reason);
    if read(FAILURE_VARIABLE).is_ok_and(|kept| kept.as_ref() == Some(&data)) {
        return Ok(());
    }
    let file = Variable {
        attributes: Attributes::KEPT,
        data: &data,
    }
    .to_file();
    change(|path| {
        // The firmware takes a variable whole: a single write, nothing cut off before.
        fs::File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?
            .write_all(&file)?;
        Ok(())
    })
}

fn change(change: impl FnOnce(&Path) -> Result<()>) -> Result<()> {
    let variables = Path::new(EFIVARFS);
    let path = path(FAILURE_VARIABLE);
    set_variables_writable(variables, true)?;
    let changed = unlock(&path)
        .and_then(|()| change(&path))
        .with_context(|| format!("cannot change {}", path.display()));
    set_variables_writable(variables, false)?;
    changed
}

/// The kernel protects variables it does not know against changes.
fn unlock(path: &Path) -> Result<()> {
    let file = match fs::File::open(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        opened => opened?,
    };
    let flags = ioctl_getflags(file.as_fd())?;
    if flags.contains(IFlags::IMMUTABLE) {
        ioctl_setflags(file.as_fd(), flags - IFlags::IMMUTABLE)?;
    }
    Ok(())
}

/// The value of a variable, if there is one.
///
/// # Errors
/// It cannot be read, or is too long.
pub fn read(name: VariableName) -> Result<Option<Vec<u8>>> {
    let path = path(name);
    if !path.exists() {
        return Ok(None);
    }
    let file = read_bounded(&path, LONGEST)?;
    let variable =
        Variable::parse(&file).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Some(variable.data.to_vec()))
}

fn path(name: VariableName) -> PathBuf {
    Path::new(EFIVARFS).join(name.to_string())
}
