//! Making the state, at the first boot, in an order that survives a power cut anywhere.
//!
//! | step | disk | TPM | a cut after it |
//! |---|---|---|---|
//! | 1 | header, marked as begun | nothing | begins anew |
//! | 2 | every block written once, empty file system | nothing | begins anew |
//! | 3 | | version index | begins anew |
//! | 4 | header with the sealed secret, still marked | version index | begins anew |
//! | 5 | | record: begun, with the volume's identity | goes on from here |
//! | 6 | a new recovery key, shown and confirmed | | goes on from 6, with another key |
//! | 7 | | counter, owner and lockout authorisation, record: finished | opens; 8 is made up for |
//! | 8 | mark removed | | opens |
//!
//! Nothing is ever opened by a key that somebody else could know: the keys are made here,
//! and a volume that was begun is only gone on with if the TPM has recorded its identity.

use anyhow::{Context, Result, ensure};
use bastide_boot::CommandLine;
use bastide_tpm_policy::{RecoveryKey, Release};

use super::{
    keys::{new_secret, random},
    machine::Machine,
    present::present,
    volume::{Place, Unlocked},
};
use crate::console::say;

/// Steps 1 to 5.
///
/// # Errors
/// The disk or the TPM fails.
pub fn begin(machine: &mut Machine, place: &mut Place, release: Release) -> Result<Unlocked> {
    let secret = new_secret()?;
    let mut shown = 0;
    let unlocked = place.make(secret, |done, total| {
        // Every tenth part is a line; that is enough to see that it moves.
        let tenth = done.saturating_mul(10) / total.max(1);
        if tenth > shown {
            shown = tenth;
            say(&format!("state: {} % prepared", tenth * 10));
        }
    })?;
    machine
        .forget()
        .context("cannot remove what an earlier start left in the TPM")?;
    machine.define_version(release)?;
    let sealed = machine.seal(&unlocked.secret)?;
    place.keep_sealed(&unlocked, &sealed)?;
    machine.record_begun(&unlocked, &sealed, release)?;
    Ok(unlocked)
}

/// Opens what steps 1 to 5 made before the power was cut.
///
/// # Errors
/// The TPM does not open it, or what it opens is not what the TPM recorded.
pub fn resume(machine: &Machine, place: &Place) -> Result<Unlocked> {
    let sealed = place.sealed()?;
    let secret = machine.unseal(&sealed)?;
    let unlocked = place.unlock_by_tpm(secret)?;
    machine.check_identity(&unlocked)?;
    Ok(unlocked)
}

/// Steps 6 to 8.
///
/// # Errors
/// Nobody took the recovery key, or the disk or the TPM fails.
pub fn finish(
    machine: &mut Machine,
    place: &mut Place,
    unlocked: &Unlocked,
    command_line: &CommandLine,
) -> Result<()> {
    let recovery = RecoveryKey::from_random(&random()?);
    place.set_recovery_key(unlocked, &recovery)?;
    present(&recovery, command_line.recovery_key, place.disk())?;
    let counting = machine.own(&unlocked.secret)?;
    let release = Release::from_number(command_line.release);
    machine.record_finished(unlocked, &place.sealed()?, release, &counting)?;
    place.remove_mark()
}

/// Seals an open state to this machine: one whose firmware, keys or TPM have changed.
/// What was sealed before opens no more once the record is written; a power cut between
/// disk and record leaves the recovery key, which was just typed.
///
/// # Errors
/// The disk or the TPM fails; the recovery key opens the state as before.
pub fn seal_again(
    machine: &mut Machine,
    place: &mut Place,
    release: Release,
    unlocked: &Unlocked,
) -> Result<()> {
    machine.may_seal(release)?;
    machine.take_over(&unlocked.secret, release)?;
    let counting = machine.own(&unlocked.secret)?;
    let sealed = machine.seal(&unlocked.secret)?;
    place.keep_sealed(unlocked, &sealed)?;
    machine.record_finished(unlocked, &sealed, release, &counting)?;
    place.remove_mark()?;
    // Believe the effect, not the return values: what was sealed must open again.
    let secret = machine.unseal(&place.sealed()?)?;
    ensure!(
        secret.expose() == unlocked.secret.expose(),
        "what was sealed is not what comes out"
    );
    Ok(())
}
