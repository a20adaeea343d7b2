//! A second computer for whoever has a disk in hand: a minimal Debian with the standard
//! tools (cryptsetup, e2fsck, tpm2-tools, fio, journald), booted with our own kernel.
//!
//! It judges our formats from outside, and it is the attacker's workbench: its kernel
//! bundle is signed by the same owner, so that with a stolen machine's TPM it has the
//! right PCR 7, and must still not get at its secrets.
//!
//! What it does is a script on its second disk; what that prints is on its console.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bastide_recipe::{Step, StepOutput};

use crate::arguments::{Configuration, Disk};
use crate::console::ExpectError;
use crate::machine::{Machine, MachineError};
use crate::peer;

/// The kernel's words. Its own checks of what it executes are off, as for the peer, and so
/// is that of the timer, which a busy host fails. What it says before the task belongs to
/// the record of a machine that did not come up; its first program silences it then.
const COMMAND_LINE: &str = "console=tty0 console=ttyS0,115200 root=/dev/vda2 rootfstype=ext4 rw \
                            loglevel=7 panic=10 no_timer_check ipe.enforce=0 \
                            init=/usr/lib/rescue/init";

/// The suspect disk, within the rescue machine; those after it are `vdd` and on.
pub const SUSPECT: &str = "/dev/vdc";

/// What the machine prints before and after a task.
const BEGIN: &str = "rescue: begin\n";
const DONE: &str = "rescue: done ";

/// What every task can use; see the file.
const PRELUDE: &str = include_str!("../steps/rescue-prelude.sh");

/// Why a task was not done.
#[derive(Debug, thiserror::Error)]
pub enum RescueError {
    /// The task's disk cannot be written.
    #[error("{}: cannot be written", path.display())]
    Task {
        /// The disk.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The machine.
    #[error(transparent)]
    Machine(#[from] MachineError),
    /// Its console.
    #[error(transparent)]
    Console(#[from] ExpectError),
    /// The task failed.
    #[error("a task of the rescue machine ended with {status}:\n{output}")]
    Failed {
        /// Its exit status.
        status: String,
        /// What it printed.
        output: String,
    },
}

/// Makes `root.img` from the SDK `rescue`.
#[must_use]
pub fn root() -> Step {
    let mut step = peer::root();
    "rescue-root".clone_into(&mut step.name);
    step.sdk = bastide_recipe::SdkName::new("rescue");
    step.script = [
        include_str!("../steps/peer-root.sh"),
        include_str!("../steps/rescue-root.sh"),
    ]
    .concat();
    step.inputs.push(bastide_recipe::Input::new(
        "init",
        bastide_recipe::Source::Inline(include_bytes!("../steps/rescue-init.sh").to_vec()),
    ));
    step
}

/// Makes `bundle.efi` with the kernel of `ours`, and `boot-loader.efi`: to be signed.
#[must_use]
pub fn bundle(ours: &Path) -> Step {
    let mut step = peer::bundle(ours);
    "rescue-bundle".clone_into(&mut step.name);
    step.environment
        .insert("COMMAND_LINE".to_owned(), COMMAND_LINE.to_owned());
    step
}

/// Makes `disk.img` from the root and the signed `bundle` and `boot_loader`.
#[must_use]
pub fn disk(root: &StepOutput, bundle: &StepOutput, boot_loader: &StepOutput) -> Step {
    let mut step = peer::disk(root, bundle, boot_loader);
    "rescue-disk".clone_into(&mut step.name);
    step
}

/// Boots the rescue machine `machine` (its disks still empty) from `rescue` and has it
/// do `task`, a bash script, with `suspects` from [`SUSPECT`] on. Returns what it printed.
///
/// # Errors
/// When the machine does not come up or the script fails.
pub fn run(
    mut machine: Configuration,
    rescue: &Path,
    task: &str,
    suspects: &[Disk],
    patience: Duration,
) -> Result<String, RescueError> {
    let directory = machine.record.clone().unwrap_or_else(std::env::temp_dir);
    let file = directory.join(format!("{}.task", machine.name));
    write_task(&directory, &file, task).map_err(|source| RescueError::Task {
        path: file.clone(),
        source,
    })?;
    machine.disks = vec![Disk::Image(rescue.to_owned()), Disk::Image(file)];
    machine.disks.extend_from_slice(suspects);
    let mut running = Machine::start(&machine)?;
    let ends = ["Kernel panic", "No bootable option or device was found"];
    running.console().expect_any(&[BEGIN], &ends, patience)?;
    let output = running.console().expect_any(&[DONE], &ends, patience)?.text;
    let status = running.console().expect("\n", patience)?.text;
    running.cut_power()?;
    let output = output
        .strip_suffix(DONE)
        .unwrap_or(&output)
        .trim()
        .to_owned();
    match status.trim() {
        "0" => Ok(output),
        status => Err(RescueError::Failed {
            status: status.to_owned(),
            output,
        }),
    }
}

/// A disk whose content is the script, followed by zeros.
fn write_task(directory: &Path, file: &Path, task: &str) -> std::io::Result<()> {
    const SECTOR: usize = 4096;
    fs::create_dir_all(directory)?;
    let mut content = format!("{PRELUDE}\n{task}\n").into_bytes();
    content.resize(content.len().next_multiple_of(SECTOR), 0);
    fs::write(file, content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_fills_whole_sectors() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("one/task");
        write_task(&place.path().join("one"), &file, "echo hello").unwrap();
        let content = fs::read(&file).unwrap();
        assert_eq!(content.len() % 4096, 0);
        let text = String::from_utf8(content).unwrap();
        assert!(text.trim_end_matches('\0').ends_with("echo hello\n"));
    }

    #[test]
    fn its_steps_are_not_those_of_the_peer() {
        let ours = root();
        assert_eq!(ours.sdk.as_str(), "rescue");
        assert!(ours.script.starts_with(&peer::root().script));
        let words = &bundle(Path::new("/uki")).environment["COMMAND_LINE"];
        assert!(words.contains("init=/usr/lib/rescue/init"), "{words}");
    }
}
