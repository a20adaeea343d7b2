//! From the kernel's first step in user space to the Core's PID 1.

use std::{
    convert::Infallible,
    ffi::{CStr, CString},
    fs,
    path::Path,
};

use anyhow::{Context, Result};
use bastide_boot::{
    BOOT_REPORT, BootReport, CORE_INIT, CommandLine, CoreReport, Geometry, StateReport,
};
use bastide_disk::scan;
use bastide_keyring::{OpenKeyring, SignatureKey};
use bastide_mount::{Virtual, mount_virtual, mount_virtual_made, switch_root};
use nix::unistd::execve;

use crate::{
    candidate::{NEW_ROOT, Wanted as WantedCore},
    command_line,
    console::say,
    files::read_bounded,
    firmware,
    refusal::{Refusal, set_on_failure},
    search::{Found, find},
    state::{self, Wanted},
    timeline::Timeline,
};

const IMAGE_CERTIFICATE: &str = "/image.crt";
const ROOT_HASH_SIGNATURE: &str = "/core.p7s";

/// Certificates and signatures have one or two thousand bytes.
const LARGEST_CREDENTIAL: usize = 16 * 1024;

/// Boots, or says why not.
pub fn boot() -> Result<Infallible, Refusal> {
    let mut timeline = Timeline::default();
    timeline.done("started");
    mount_all().map_err(|error| Refusal::of_bundle("kernel", &error))?;
    say("initramfs started");
    timeline.done("mounted");

    let (signed, parsed) = command_line::signed()
        .map_err(|error| Refusal::of_bundle("signed command line", &error))?;
    set_on_failure(parsed.on_failure);
    command_line::check_given(&signed)?;
    timeline.done("command-line-checked");

    let wanted =
        wanted(&parsed).map_err(|error| Refusal::of_bundle("image certificate", &error))?;
    timeline.done("keyring-sealed");

    let found = find(&wanted, firmware::boot_partition())?;
    announce(&wanted, &found);
    timeline.done("core-verified");

    let mut report = report(&wanted, &found);
    wanted
        .signature
        .revoke()
        .map_err(|error| Refusal::of_bundle("root-hash signature", &error.into()))?;
    report.state = Some(open_state(&parsed, &found.partition.disk, &mut timeline)?);
    enter(report, timeline).map_err(|error| Refusal::of_bundle("core", &error))
}

fn mount_all() -> Result<()> {
    mount_virtual_made(Virtual::Devices, Path::new("/dev"))?;
    mount_virtual_made(Virtual::Processes, Path::new("/proc"))?;
    mount_virtual_made(Virtual::Kernel, Path::new("/sys"))?;
    mount_virtual_made(Virtual::Runtime, Path::new("/run"))?;
    mount_virtual(Virtual::Security, Path::new("/sys/kernel/security"))?;
    firmware::mount()
}

/// Prepares the kernel to judge signatures: by the image certificate, and no other key
/// ever after.
fn wanted(command_line: &CommandLine) -> Result<WantedCore> {
    let certificate = read_bounded(Path::new(IMAGE_CERTIFICATE), LARGEST_CREDENTIAL)?;
    let signature = read_bounded(Path::new(ROOT_HASH_SIGNATURE), LARGEST_CREDENTIAL)?;
    let sealed = OpenKeyring::find()?.seal_with(&certificate)?;
    Ok(WantedCore {
        root_hash: command_line.core,
        geometry: Geometry::new(command_line.hash_offset),
        signature: SignatureKey::add(&sealed, &signature)?,
    })
}

/// Opens the state that lies on the disk of the Core.
fn open_state(
    command_line: &CommandLine,
    disk: &str,
    timeline: &mut Timeline,
) -> Result<StateReport, Refusal> {
    let mut partitions = scan()
        .map_err(|error| Refusal::of_bundle("disks", &error.into()))?
        .partitions;
    partitions.retain(|partition| partition.disk == disk);
    state::open(
        &Wanted {
            command_line,
            partitions: &partitions,
            target: &Path::new(NEW_ROOT).join("var"),
        },
        timeline,
    )
}

fn announce(wanted: &WantedCore, found: &Found) {
    let partition = &found.partition.name;
    say(&format!(
        "core {} verified on {partition}",
        wanted.root_hash.short()
    ));
    match found.core.corrected_blocks {
        0 => {}
        blocks => say(&format!(
            "core on {partition} repaired (corrected blocks: {blocks}); check the disk"
        )),
    }
}

fn report(wanted: &WantedCore, found: &Found) -> BootReport {
    let previous_failure = firmware::take_failure();
    if let Some(failure) = &previous_failure {
        say(&format!("last time: {failure}"));
    }
    BootReport {
        refused: found.refused.clone(),
        loader: firmware::loader_times(),
        previous_failure,
        ..BootReport::new(CoreReport {
            root_hash: wanted.root_hash.to_string(),
            partition_uuid: found.partition.uuid.to_string(),
            device: found.partition.name.clone(),
            verified: found.core.device.clone(),
            corrected_blocks: found.core.corrected_blocks,
        })
    }
}

fn enter(mut report: BootReport, mut timeline: Timeline) -> Result<Infallible> {
    timeline.done("entering-core");
    report.steps = timeline.into_steps();
    write_report(&report)?;
    say("entering core");
    let mounts = ["/dev", "/proc", "/sys", "/run"].map(Path::new);
    switch_root(Path::new(NEW_ROOT), &mounts)?;
    execute(CORE_INIT).with_context(|| format!("cannot execute {CORE_INIT}"))
}

/// Becomes another program, without arguments or environment: whatever the kernel made
/// of words on its command line is not for the Core.
///
/// Not `std::process::Command`: it goes through `execvp`, which hands a file that is no
/// program to `/bin/sh`.
fn execute(program: &str) -> Result<Infallible> {
    let path = CString::new(program)?;
    let nothing: [&CStr; 0] = [];
    Ok(execve(&path, &[&path], &nothing)?)
}

fn write_report(report: &BootReport) -> Result<()> {
    let path = Path::new(BOOT_REPORT);
    if let Some(directory) = path.parent() {
        fs::create_dir_all(directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
    }
    fs::write(path, report.to_json()?).with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_no_program_is_not_handed_to_a_shell() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("init");
        fs::write(&path, "exit 0\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        // Were it handed to one, this process would be gone.
        let error = execute(path.to_str().unwrap()).unwrap_err();
        assert_eq!(error.downcast_ref(), Some(&nix::errno::Errno::ENOEXEC));
    }
}
