//! Giving privileges up, and limits that hold for whatever comes after.

use anyhow::{Context, Result, ensure};
use rustix::fs::{Gid, Uid};
use rustix::process::{Resource, Rlimit, setrlimit};
use rustix::thread::{
    CapabilitiesSecureBits, CapabilitySet, CapabilitySets, capabilities,
    capability_is_in_bounding_set, clear_ambient_capability_set,
    configure_capability_in_ambient_set, no_new_privs, remove_capability_from_bounding_set,
    set_capabilities, set_capabilities_secure_bits, set_no_new_privs, set_thread_groups,
    set_thread_res_gid, set_thread_res_uid,
};

use crate::settings::{Limited, Settings};

/// Sets the limits of setrlimit(2).
pub(super) fn limit(settings: &Settings) -> Result<()> {
    let both = |value| Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    // A core dump would carry what a service keeps in memory to a disk.
    setrlimit(Resource::Core, both(0)).context("cannot rule out core dumps")?;
    for (limited, value) in &settings.resources {
        let resource = match limited {
            Limited::OpenFiles => Resource::Nofile,
            Limited::FileSize => Resource::Fsize,
            Limited::AddressSpace => Resource::As,
            Limited::LockedMemory => Resource::Memlock,
        };
        setrlimit(resource, both(*value)).with_context(|| format!("cannot limit {limited:?}"))?;
    }
    Ok(())
}

/// Becomes the service's user, with the capabilities that it keeps and no way to others.
pub(super) fn drop_privileges(settings: &Settings) -> Result<()> {
    let kept = CapabilitySet::from_bits_retain(settings.capabilities);
    empty_bounding_set(kept)?;

    // No program regains anything by being root, or by becoming another user.
    let mut bits = CapabilitiesSecureBits::NO_ROOT | CapabilitiesSecureBits::NO_ROOT_LOCKED;
    if !kept.is_empty() {
        bits |= CapabilitiesSecureBits::KEEP_CAPS;
    }
    set_capabilities_secure_bits(bits).context("cannot set the secure bits")?;

    let user = Uid::from_raw(settings.uid);
    let group = Gid::from_raw(settings.uid);
    set_thread_groups(&[]).context("cannot leave the supplementary groups")?;
    set_thread_res_gid(group, group, group).context("cannot change the group")?;
    set_thread_res_uid(user, user, user).context("cannot change the user")?;

    let wanted = CapabilitySets {
        effective: kept,
        permitted: kept,
        inheritable: kept,
    };
    set_capabilities(None, wanted).context("cannot set the capabilities")?;
    clear_ambient_capability_set().context("cannot empty the ambient capabilities")?;
    for capability in kept.iter() {
        configure_capability_in_ambient_set(capability, true)
            .with_context(|| format!("cannot keep {capability:?}"))?;
    }
    set_no_new_privs(true).context("cannot rule out new privileges")?;

    ensure!(capabilities(None)? == wanted, "other capabilities are left");
    ensure!(no_new_privs()?, "new privileges are not ruled out");
    let left = rustix::process::getuid() == user && rustix::process::geteuid() == user;
    ensure!(left, "the user has not changed");
    Ok(())
}

/// Takes every capability that the kernel knows out of the bounding set, but those kept.
fn empty_bounding_set(kept: CapabilitySet) -> Result<()> {
    for number in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << number);
        // The kernel answers EINVAL past the last one it has.
        let Ok(present) = capability_is_in_bounding_set(capability) else {
            ensure!(number > 0, "the kernel knows no capabilities");
            break;
        };
        if present && !kept.contains(capability) {
            remove_capability_from_bounding_set(capability)
                .with_context(|| format!("cannot give capability {number} up"))?;
        }
    }
    Ok(())
}
