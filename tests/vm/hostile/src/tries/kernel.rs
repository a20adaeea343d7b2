//! System calls that no service needs.

use std::ffi::CStr;

use anyhow::Result;
use nix::kmod::{DeleteModuleFlags, delete_module};
use nix::sys::personality::{self, Persona};
use nix::sys::reboot::set_cad_enabled;
use rustix::system::sethostname;
use rustix::time::{ClockId, clock_gettime, clock_settime};

/// Renames the machine.
pub fn host_name() -> Result<()> {
    Ok(sethostname(b"evil")?)
}

/// Sets the clock, to what it is.
pub fn clock() -> Result<()> {
    let now = clock_gettime(ClockId::Realtime);
    Ok(clock_settime(ClockId::Realtime, now)?)
}

/// Removes a kernel module.
pub fn remove_module() -> Result<()> {
    const NAME: &CStr = c"evil";
    Ok(delete_module(NAME, DeleteModuleFlags::O_NONBLOCK)?)
}

/// Switches the reboot key.
pub fn reboot_key() -> Result<()> {
    Ok(set_cad_enabled(false)?)
}

/// Asks for a memory layout that makes attacks easier.
pub fn personality() -> Result<()> {
    personality::set(Persona::ADDR_NO_RANDOMIZE)?;
    Ok(())
}
