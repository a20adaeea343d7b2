//! When the TPM does not open the state: a person does, with the recovery key.

use std::time::Duration;

use bastide_tpm_policy::{RecoveryKey, Release};

use super::{
    consoles::Consoles,
    machine::Machine,
    provision,
    refuse::Advice,
    volume::{Place, Unlocked},
};
use crate::{console::say, refusal::Refusal};

/// Recovery keys that are tried before the machine stops.
const TRIES: u32 = 5;

/// Answers that are no recovery key at all, mistyped ones among them, before it stops.
const SLIPS: u32 = 20;

/// How long a question waits. A machine that nobody attends must not stand open for ever.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

const NO_TPM_TO_SEAL_TO: &str = "state: not sealed to this machine again (it has no TPM that can \
     be used); the recovery key is needed at the next start too";

/// The word that gives an old state up.
const ERASE: &str = "ERASE";

/// Whether the person may choose a new, empty state instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Erase {
    /// The TPM has a state on record: only clearing it gives that up.
    No,
    /// It has none.
    Offered,
}

/// What a person decided.
#[derive(Debug)]
pub enum Chosen {
    /// Opened the state.
    Opened(Unlocked),
    /// Gave it up for a new one.
    Erase,
}

/// Asks for the recovery key and, once the state is open, whether to seal it to this
/// machine again, if it has a TPM that can be used.
///
/// # Errors
/// Nobody had it.
pub fn by_person(
    mut machine: Option<&mut Machine>,
    place: &mut Place,
    release: Release,
    erase: Erase,
) -> Result<Chosen, Refusal> {
    let mut consoles = Consoles::open();
    let (mut tries, mut slips) = (0, 0);
    while tries < TRIES && slips < SLIPS {
        if erase == Erase::Offered {
            consoles.show(
                "\nThis disk has a state that this machine's TPM does not know. Its recovery key \
                 opens it.\nOr type ERASE to make a new, empty one: everything on the old one is \
                 lost then.\n",
            );
        }
        let question = format!("Recovery key (try {} of {TRIES}): ", tries + 1);
        let Some(answer) = consoles.ask_for_secret(&question, Some(PATIENCE)) else {
            return Err(Advice::Locked.refusal("no recovery key was given"));
        };
        if erase == Erase::Offered && *answer == ERASE {
            return Ok(Chosen::Erase);
        }
        let key = match RecoveryKey::parse(&answer) {
            Ok(key) => key,
            Err(error) => {
                slips += 1;
                consoles.show(&format!("{error}\n"));
                continue;
            }
        };
        tries += 1;
        match place.unlock_by_recovery(&key) {
            Ok(unlocked) => {
                if let Some(machine) = &machine {
                    machine
                        .check_no_other(&unlocked)
                        .map_err(|error| Advice::Replaced.refusal(&format!("{error:#}")))?;
                }
                say("state: opened by the recovery key");
                // Somebody has its key: it is no longer one that may be made anew.
                if let Err(error) = place.remove_mark() {
                    say(&format!("state: its mark cannot be removed ({error:#})"));
                }
                match machine.as_deref_mut() {
                    Some(machine) => {
                        offer_to_seal(machine, place, release, &unlocked, &mut consoles);
                    }
                    None => say(NO_TPM_TO_SEAL_TO),
                }
                return Ok(Chosen::Opened(unlocked));
            }
            Err(error) => {
                consoles.show(&format!("{error:#}\n"));
            }
        }
    }
    Err(Advice::Locked.refusal("no right recovery key in as many tries as there are"))
}

/// Sealing again is offered where it would hold what it promises. That it fails does not
/// keep the state shut: the recovery key opens it again.
fn offer_to_seal(
    machine: &mut Machine,
    place: &mut Place,
    release: Release,
    unlocked: &Unlocked,
    consoles: &mut Consoles,
) {
    if let Err(error) = machine.may_seal(release) {
        say(&format!(
            "state: not sealed to this machine again ({error:#}); the recovery key is needed at \
             the next start too"
        ));
        return;
    }
    let answer = consoles.ask("Seal to this machine again? [y/N] ", Some(PATIENCE));
    let agreed = answer.is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes"));
    if !agreed {
        say("state: not sealed again; the recovery key is needed at the next start too");
        return;
    }
    match provision::seal_again(machine, place, release, unlocked) {
        Ok(()) => say("state: sealed again"),
        Err(error) => say(&format!("state: not sealed again ({error:#})")),
    }
}
