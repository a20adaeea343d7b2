//! Giving the recovery key to its owner, once.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bastide_boot::RecoveryKey as Mode;
use bastide_tpm_policy::RecoveryKey;

use super::{code::picture, consoles::Consoles, escrow};
use crate::console::say;

/// How long a machine that asks for no confirmation shows the key.
const SHOWN_FOR: Duration = Duration::from_secs(10);

const NOBODY: &str =
    "there is no console to show the recovery key on, and no escrow medium to keep it on";

/// Hands the recovery key to the escrow medium, if there is one, or shows it and makes
/// sure that it was written down, as the product says.
///
/// # Errors
/// There is nobody to show it to; the next start shows another.
pub fn present(key: &RecoveryKey, mode: Mode, own_disk: &str) -> Result<()> {
    if let Some(place) = escrow::keep(key, own_disk)? {
        say(&format!("state: recovery key kept on {place}"));
        return Ok(());
    }
    show(key, mode, &mut Consoles::open())
}

fn show(key: &RecoveryKey, mode: Mode, consoles: &mut Consoles) -> Result<()> {
    ensure!(consoles.show(&screen(key.text())) > 0, NOBODY);
    match mode {
        Mode::Shown => {
            let seconds = SHOWN_FOR.as_secs();
            consoles.ask(
                &format!("Press Enter to go on (by itself in {seconds} s): "),
                Some(SHOWN_FOR),
            );
        }
        Mode::Confirmed => loop {
            let answer = consoles
                .ask("Type its last four letters once you have it: ", None)
                .context(NOBODY)?;
            if answer.eq_ignore_ascii_case(key.last_group()) {
                break;
            }
            consoles.show("These are not its last four letters.\n");
        },
    }
    // A key that was written down need not be left on the screen.
    consoles.show("\x1b[2J\x1b[3J\x1b[H");
    Ok(())
}

fn screen(text: &str) -> String {
    let picture = picture(text).unwrap_or_default();
    format!(
        "\n{picture}bastide: state: recovery key {text}\n\
         Write it down and keep it away from this machine. It alone opens the data when\n\
         the TPM does not: after a change of firmware or keys, or on another machine.\n\
         It is not shown again.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_nobody_saw_is_not_given_out() {
        let key = RecoveryKey::from_random(&zeroize::Zeroizing::new([7; 20]));
        for mode in [Mode::Shown, Mode::Confirmed] {
            assert!(show(&key, mode, &mut Consoles::none()).is_err());
        }
    }

    #[test]
    fn the_screen_has_25_lines_and_80_columns() {
        let text = "ABCD-".repeat(8) + "ABCD";
        let screen = screen(&text);
        assert!(screen.lines().count() <= 24, "{screen}");
        assert!(screen.lines().all(|line| line.chars().count() <= 80));
    }
}
