//! The encrypted state: made at the first boot, opened at every other.
//!
//! Trust boundary: the disk is hostile, the TPM's bus may be read, and a person at the
//! console is asked only for what a person must decide. The machine secret is in clear
//! here and nowhere else; [`open`] leaves nothing of it behind but what each part of the
//! system was given of its own, and closes the TPM's policy behind itself.
//!
//! How a power cut is survived: what is on the disk and what is in the TPM change in an
//! order in which every prefix is a state that [`mod@decide`] knows how to go on from. The
//! order is in [`mod@provision`].

mod code;
mod consoles;
mod decide;
mod escrow;
mod handover;
mod keys;
mod machine;
mod present;
mod provision;
mod recover;
mod refuse;
mod swap;
mod volume;

use std::{fs, path::Path};

use anyhow::{Context, Result};
use bastide_boot::{CommandLine, OpenedBy, StateReport};
use bastide_disk::Partition;
use bastide_tpm_policy::Release;

use crate::{console::say, refusal::Refusal, timeline::Timeline};
pub use consoles::names as console_names;
use decide::{Decision, Recorded, decide};
use handover::LogKeys;
use machine::Machine;
use recover::{Chosen, Erase};
use refuse::Advice;
use volume::{Place, Unlocked};

/// What is needed to open the state.
#[derive(Debug)]
pub struct Wanted<'wanted> {
    /// The signed command line.
    pub command_line: &'wanted CommandLine,
    /// The partitions of the disk that the Core is on.
    pub partitions: &'wanted [Partition],
    /// Where the state is to be mounted.
    pub target: &'wanted Path,
}

/// Opens the state, making it first if this is the machine's first boot, mounts it and
/// switches swap on. Whatever happens, the TPM gives the key out no more afterwards.
///
/// # Errors
/// Why the machine must not go on.
pub fn open(wanted: &Wanted<'_>, timeline: &mut Timeline) -> Result<StateReport, Refusal> {
    // A TPM that cannot be used opens nothing; a person with the recovery key still may.
    let mut machine = Machine::enter();
    let opened = open_between(wanted, &mut machine, timeline);
    let left = match &machine {
        Ok(machine) => machine.leave().context("cannot close the TPM's policy"),
        Err(_) => Ok(()),
    };
    timeline.done("tpm-policy-closed");
    let report = opened?;
    left.map_err(|error| Advice::NoTpm.refusal(&format!("{error:#}")))?;
    Ok(report)
}

/// What happens while the TPM's policy is open.
fn open_between(
    wanted: &Wanted<'_>,
    machine: &mut Result<Machine>,
    timeline: &mut Timeline,
) -> Result<StateReport, Refusal> {
    let damaged = |error: anyhow::Error| Advice::Damaged.refusal(&format!("{error:#}"));
    let partition = volume::partition(wanted.partitions)
        .map_err(|error| Advice::NoPartition.refusal(&format!("{error:#}")))?;
    // Reinstalling would lose what a disk that cannot be read now may still hold.
    let mut place = Place::look(partition).map_err(damaged)?;
    let (mut unlocked, opened_by) = unlock(wanted, machine, &mut place)?;
    timeline.done("state-unlocked");
    place.mount(&mut unlocked, wanted.target).map_err(damaged)?;
    hand_over(wanted, machine.as_ref().ok(), &unlocked, opened_by).map_err(damaged)?;
    timeline.done("state-mounted");
    let swap = swap::on(wanted.partitions)
        .inspect_err(|error| say(&format!("no swap ({error:#})")))
        .is_ok();
    timeline.done("swap-on");
    let (volume_uuid, cipher) = place.facts().map_err(damaged)?;
    Ok(StateReport {
        opened_by,
        device: place.device().to_owned(),
        volume_uuid,
        cipher,
        swap,
    })
}

fn unlock(
    wanted: &Wanted<'_>,
    machine: &mut Result<Machine>,
    place: &mut Place,
) -> Result<(Unlocked, OpenedBy), Refusal> {
    let release = Release::from_number(wanted.command_line.release);
    let machine = match machine {
        Ok(machine) => machine,
        Err(error) => return without_record(None, place, release, error, Advice::NoTpm),
    };
    let recorded = match machine.recorded() {
        Ok(recorded) => recorded,
        Err(error) => {
            return without_record(Some(machine), place, release, &error, Advice::Owned);
        }
    };
    match decide(recorded, place.found()) {
        Decision::Refuse(advice) => Err(advice.refusal(place.describe())),
        Decision::Provision => provision(wanted, machine, place),
        Decision::Continue => match provision::resume(machine, place) {
            Ok(unlocked) => {
                say("state: provisioning, continued");
                finish(wanted, machine, place, unlocked)
            }
            // What was begun cannot be gone on with; nothing of it was in use yet.
            Err(error) => {
                say(&format!("state: what was begun is given up ({error:#})"));
                provision(wanted, machine, place)
            }
        },
        Decision::Open => match provision::resume(machine, place) {
            Ok(unlocked) => {
                // Left where the power was cut at the very end of the first boot.
                place
                    .remove_mark()
                    .map_err(|error| Advice::Damaged.refusal(&format!("{error:#}")))?;
                say("state: opened by the TPM");
                Ok((unlocked, OpenedBy::Tpm))
            }
            Err(error) => ask_key(Some(machine), place, release, &error),
        },
        Decision::AskKey => {
            let error = anyhow::anyhow!("it has no record");
            ask_key(Some(machine), place, release, &error)
        }
        Decision::AskPerson => {
            say(&format!(
                "state: {}, of which this machine's TPM has no record",
                place.describe()
            ));
            match recover::by_person(Some(machine), place, release, Erase::Offered)? {
                Chosen::Opened(unlocked) => Ok((unlocked, OpenedBy::RecoveryKey)),
                Chosen::Erase => provision(wanted, machine, place),
            }
        }
    }
}

/// What is left where the TPM cannot say whether this machine has a state. `advice` is for
/// a disk on which there is nothing to open.
fn without_record(
    machine: Option<&mut Machine>,
    place: &mut Place,
    release: Release,
    error: &anyhow::Error,
    advice: Advice,
) -> Result<(Unlocked, OpenedBy), Refusal> {
    match decide(Recorded::Unknown, place.found()) {
        Decision::AskKey => ask_key(machine, place, release, error),
        _ => Err(advice.refusal(&format!("{error:#}"))),
    }
}

/// Asks a person for the recovery key, since the TPM refuses.
fn ask_key(
    machine: Option<&mut Machine>,
    place: &mut Place,
    release: Release,
    error: &anyhow::Error,
) -> Result<(Unlocked, OpenedBy), Refusal> {
    say(&format!("state: the TPM refuses ({error:#})"));
    match recover::by_person(machine, place, release, Erase::No)? {
        Chosen::Opened(unlocked) => Ok((unlocked, OpenedBy::RecoveryKey)),
        Chosen::Erase => Err(Advice::Locked.refusal("it was not opened")),
    }
}

fn provision(
    wanted: &Wanted<'_>,
    machine: &mut Machine,
    place: &mut Place,
) -> Result<(Unlocked, OpenedBy), Refusal> {
    let release = Release::from_number(wanted.command_line.release);
    say("state: provisioning");
    machine
        .may_begin()
        .map_err(|error| Advice::Owned.refusal(&format!("{error:#}")))?;
    let unlocked = provision::begin(machine, place, release)
        .map_err(|error| Advice::NotMade.refusal(&format!("{error:#}")))?;
    finish(wanted, machine, place, unlocked)
}

fn finish(
    wanted: &Wanted<'_>,
    machine: &mut Machine,
    place: &mut Place,
    unlocked: Unlocked,
) -> Result<(Unlocked, OpenedBy), Refusal> {
    provision::finish(machine, place, &unlocked, wanted.command_line)
        .map_err(|error| Advice::NotMade.refusal(&format!("{error:#}")))?;
    say("state: provisioned");
    Ok((unlocked, OpenedBy::Provisioning))
}

/// Hands over what the running system gets of the machine secret, where the TPM knows the
/// machine. Where it does not, a person opened the state and did not seal it again: the
/// machine goes on, and says what it lacks.
fn hand_over(
    wanted: &Wanted<'_>,
    machine: Option<&Machine>,
    unlocked: &Unlocked,
    opened_by: OpenedBy,
) -> Result<()> {
    fs::create_dir_all(wanted.target.join("lib")).context("cannot make /var/lib")?;
    let handed = match machine.filter(|machine| machine.knows(unlocked)) {
        Some(machine) => count(wanted, machine, unlocked),
        None => Err(anyhow::anyhow!("the TPM does not know this machine")),
    };
    match handed {
        Err(error) if opened_by == OpenedBy::RecoveryKey => {
            say(&format!(
                "state: the log of this boot is not sealed, and older releases are not kept out \
                 ({error:#})"
            ));
            Ok(())
        }
        other => other,
    }
}

/// Counts the boot in the TPM, with the log's keys for it, and raises the version index to
/// the newest release that was seen healthy.
fn count(wanted: &Wanted<'_>, machine: &Machine, unlocked: &Unlocked) -> Result<()> {
    let boot = machine.boots()? + 1;
    let (epoch, first) = (machine.log_epoch()?, machine.first_boot()?);
    let keys = LogKeys::new(&unlocked.secret, epoch, boot, first);
    if let Err(error) = keys.certify(wanted.target) {
        // The boot counts all the same; verifying says that its certificate is missing.
        say(&format!(
            "state: this boot's log is not certified: {error:#}"
        ));
    }
    machine.count_boot(&unlocked.secret, boot)?;
    keys.leave()?;
    match handover::healthy_release(wanted.target) {
        Ok(None) => {}
        Ok(Some(healthy)) => {
            let own = wanted.command_line.release;
            machine.raise_version(&unlocked.secret, Release::from_number(healthy.min(own)))?;
        }
        // Older releases stay allowed, which a later boot makes good.
        Err(error) => say(&format!("state: the version stays as it is: {error:#}")),
    }
    Ok(())
}
