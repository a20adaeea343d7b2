//! The initramfs's questions, answered as a person at the console would.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use bastide_vm::Console;
use bastide_vm::signs::{
    NOT_SEALED, OPENED, OPENED_BY_RECOVERY, OPENED_BY_TPM, PAGE, PROVISIONING, RECOVERY_PROMPT,
    REFUSED, SEAL_PROMPT, SEALED_AGAIN, STATE_REFUSED, TPM_REFUSES,
};

use crate::bench::PATIENCE;

/// What a machine must not do while it waits for a recovery key.
const NOT_WAITING: &[&str] = &[OPENED[0], OPENED[1], PROVISIONING];

/// Waits until the state is open without anybody having been asked.
pub fn expect_opened_by_tpm(console: &Console) -> Result<()> {
    let unwanted = [TPM_REFUSES, RECOVERY_PROMPT, PROVISIONING, REFUSED, PAGE];
    console.expect_any(&[OPENED_BY_TPM], &unwanted, PATIENCE)?;
    Ok(())
}

/// Waits until the machine asks for the recovery key, having opened nothing. Returns what
/// it said why.
pub fn expect_prompt(console: &Console) -> Result<String> {
    let unwanted = [NOT_WAITING, &[REFUSED]].concat();
    console.expect_any(&[RECOVERY_PROMPT], &unwanted, PATIENCE)?;
    // The kernel's log, through which the reason comes, may be behind the question.
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let text = console.text();
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        if let Some((_, why)) = complete.split_once(TPM_REFUSES) {
            return Ok(why.lines().next().unwrap_or_default().trim().to_owned());
        }
        ensure!(
            Instant::now() < end,
            "no word of why the TPM refuses:\n{}",
            console.tail()
        );
        sleep(Duration::from_millis(100));
    }
}

/// Waits until the machine either asks for the recovery key or refuses to go on; anything
/// opened or made is an error.
pub fn expect_prompt_or_refusal(console: &Console) -> Result<Shut> {
    let wanted = [RECOVERY_PROMPT, STATE_REFUSED];
    let seen = console.expect_any(&wanted, NOT_WAITING, PATIENCE)?;
    Ok([Shut::Asks, Shut::Refuses][seen.index])
}

/// How a machine keeps its state shut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shut {
    /// It asks for the recovery key.
    Asks,
    /// It refuses to go on.
    Refuses,
}

/// Types the recovery key at the question, waits until the state is open, and answers the
/// question whether to seal again.
pub fn open_with(console: &Console, key: &str, seal: bool) -> Result<()> {
    console.send(&format!("{key}\r"))?;
    expect_opened_by_person(console, seal)
}

/// As [`open_with`], for a key that was typed already, wherever that was.
pub fn expect_opened_by_person(console: &Console, seal: bool) -> Result<()> {
    let unwanted = [REFUSED, RECOVERY_PROMPT, PROVISIONING];
    console
        .expect_any(&[OPENED_BY_RECOVERY], &unwanted, PATIENCE)
        .context("the recovery key did not open the state")?;
    // Where sealing would not hold what it promises, it is not offered.
    let seen = console.expect_any(&[SEAL_PROMPT, NOT_SEALED], &[REFUSED, PAGE], PATIENCE)?;
    ensure!(!seal || seen.index == 0, "sealing again is not offered");
    if seen.index == 0 {
        console.send(if seal { "y\r" } else { "n\r" })?;
        let answer = [[NOT_SEALED], [SEALED_AGAIN]][usize::from(seal)];
        console.expect_any(&answer, &[REFUSED, PAGE], PATIENCE)?;
    }
    Ok(())
}

/// Types wrong keys until the machine gives up, and makes sure that it takes exactly
/// `tries` and opens nothing afterwards. The first question has been seen.
pub fn exhaust(console: &Console, wrong: &str, tries: u32) -> Result<()> {
    for number in 1..=tries {
        let text = console.expect_any(&[":"], NOT_WAITING, PATIENCE)?.text;
        let expected = format!("{number} of {tries})");
        ensure!(
            text.contains(&expected),
            "the question is not for try {expected}: {text:?}"
        );
        console.send(&format!("{wrong}\r"))?;
        let next = if number < tries {
            RECOVERY_PROMPT
        } else {
            STATE_REFUSED
        };
        console
            .expect_any(&[next], NOT_WAITING, PATIENCE)
            .with_context(|| format!("after wrong key {number}"))?;
    }
    console.expect_none(&[PAGE, OPENED[0]], Duration::from_secs(8))?;
    let asked = console.text().matches(RECOVERY_PROMPT).count();
    ensure!(
        u32::try_from(asked)? == tries,
        "the machine asked {asked} times for the recovery key"
    );
    Ok(())
}
