//! One machine that was switched on for the first time, shared by all scenarios: making
//! the state takes a while, and what they attack is what it has become.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use bastide_vm::signs::{
    OPENED_BY_RECOVERY, OPENED_BY_TPM, PROVISIONING, RECOVERY_KEY, REFUSED, TPM_REFUSES,
};
use bastide_vm::{Configuration, TpmTraffic};
use sha2::{Digest, Sha256};

use crate::bench::{FIRST_BOOT, PATIENCE, start};
use crate::installation::Installation;
use crate::page::{Page, power_off};

/// What the first boot left, and what somebody saw who watched it.
#[derive(Debug)]
pub struct Provisioned {
    /// The machine, switched off.
    pub installation: Installation,
    /// The recovery key as the console showed it.
    pub recovery_key: String,
    /// All that the console showed.
    pub console: String,
    /// What went over the TPM's bus.
    pub traffic: TpmTraffic,
    /// What the screen showed while the recovery key was on it, one picture after another.
    pub pictures: Vec<PathBuf>,
}

/// Made when first asked for; kept for the run, a failure included.
#[derive(Debug, Default)]
pub struct Shared(Mutex<Option<Result<Arc<Provisioned>, String>>>);

impl Shared {
    /// Has `machine` (owner's keys, no disk) provisioned in `directory` from `image`, or
    /// hands out what an earlier call made.
    pub fn get(
        &self,
        machine: &Configuration,
        directory: &Path,
        image: &Path,
    ) -> Result<Arc<Provisioned>> {
        // A panic of another scenario leaves the place as it was: made, or not.
        let mut place = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        place
            .get_or_insert_with(|| {
                provision(machine.clone(), directory, image)
                    .map(Arc::new)
                    .map_err(|error| format!("{error:#}"))
            })
            .clone()
            .map_err(|error| anyhow!("the first boot failed: {error}"))
    }
}

/// How often, and how many times, the screen is looked at while it shows the recovery key.
const LOOKS: u32 = 6;
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

fn provision(machine: Configuration, directory: &Path, image: &Path) -> Result<Provisioned> {
    if directory.exists() {
        fs::remove_dir_all(directory)
            .with_context(|| format!("cannot clear {}", directory.display()))?;
    }
    let installation = Installation::new(directory, image)?;
    let mut machine = installation.inhabit(machine);
    machine.trace_tpm = true;
    machine.record = Some(directory.join("first-boot"));
    let mut running = start(&machine)?;
    // What a machine says whose state is there already.
    let known = [OPENED_BY_RECOVERY, TPM_REFUSES, OPENED_BY_TPM, REFUSED];
    running
        .console()
        .expect_any(&[PROVISIONING], &known, PATIENCE)?;
    running
        .console()
        .expect_any(&[RECOVERY_KEY], &[REFUSED], FIRST_BOOT)?;
    let line = running.console().expect("\n", PATIENCE)?.text;
    let recovery_key = line.trim().to_owned();
    ensure!(
        is_recovery_key(&recovery_key),
        "the console shows {recovery_key:?} as the recovery key"
    );
    let mut pictures = Vec::new();
    for look in 0..LOOKS {
        let picture = directory.join(format!("screen-{look}.png"));
        running.monitor().screenshot(&picture)?;
        pictures.push(picture);
        thread::sleep(BETWEEN_LOOKS);
    }
    // As a person who has written it down.
    running.console().send("\r")?;
    Page::wait_within(running.console(), FIRST_BOOT)?;
    let traffic = running.tpm_traffic()?;
    let console = running.console().text();
    power_off(&mut running)?;
    Ok(Provisioned {
        installation,
        recovery_key,
        console,
        traffic,
        pictures,
    })
}

/// Nine groups of four letters of base32 (RFC 4648).
pub fn is_recovery_key(text: &str) -> bool {
    let group = |group: &str| {
        group.len() == 4
            && group
                .bytes()
                .all(|letter| letter.is_ascii_uppercase() || (b'2'..=b'7').contains(&letter))
    };
    text.split('-').count() == 9 && text.split('-').all(group)
}

/// The recovery key of 160 bits of somebody's choice: base32 of them, then that of the
/// first 20 bits of their SHA-256.
pub fn recovery_key(bits: [u8; 20]) -> String {
    const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let sum = Sha256::digest(bits);
    // 180 bits in all: 36 letters of five.
    let all: Vec<u8> = bits.iter().chain(&sum[..3]).copied().collect();
    let letter = |index: usize| {
        let value = (index * 5..index * 5 + 5).fold(0_usize, |value, bit| {
            value << 1 | usize::from(all[bit / 8] >> (7 - bit % 8) & 1)
        });
        char::from(LETTERS[value])
    };
    let groups: Vec<String> = (0..9)
        .map(|group| (group * 4..group * 4 + 4).map(letter).collect())
        .collect();
    groups.join("-")
}

/// A well-formed recovery key that is not `key`: the same, but for one letter of the
/// secret part, with a checksum that fits no more or does, as chance has it.
pub fn mistyped(key: &str) -> String {
    let mut letters: Vec<char> = key.chars().collect();
    if let Some(first) = letters.first_mut() {
        *first = if *first == 'A' { 'B' } else { 'A' };
    }
    letters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ABCD-EFGH-IJKL-MNOP-QRST-UVWX-YZ23-4567-ABCD";

    #[test]
    fn recovery_keys_are_known_by_their_form() {
        assert!(is_recovery_key(KEY));
        for wrong in [
            "",
            "ABCD",
            &KEY.to_lowercase(),
            &KEY.replace('D', "1"),
            &KEY[5..],
        ] {
            assert!(!is_recovery_key(wrong), "{wrong}");
        }
        assert!(is_recovery_key(&recovery_key([0x5a; 20])));
        assert!(recovery_key([0; 20]).starts_with("AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-"));
        assert!(is_recovery_key(&mistyped(KEY)));
        assert_ne!(mistyped(KEY), KEY);
    }
}
