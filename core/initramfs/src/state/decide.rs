//! What to do about the state: a decision from what the TPM and the disk say, without I/O.
//!
//! The TPM decides whether this machine has a state; the disk, which anyone can replace,
//! only says what it holds. So a disk can never make the machine adopt a state that is
//! not its own, and a missing one is never mistaken for a first boot.

use super::refuse::Advice;

/// What the TPM has recorded.
///
/// [`Recorded::Unknown`] is what a broken TPM says, or one that is somebody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recorded {
    /// Nothing: no state was ever made with this TPM, or it was cleared since.
    Nothing,
    /// A state was begun with this TPM and not finished.
    Begun,
    /// This TPM has a state.
    Finished,
    /// The TPM cannot be asked.
    Unknown,
}

/// What the state partition holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// Nothing that looks like an encrypted volume.
    Nothing,
    /// An encrypted volume that was begun and not finished.
    Begun,
    /// An encrypted volume that has the mark of one that was begun, and a recovery key.
    /// That key is made only after the TPM has recorded that the state was begun, so to
    /// any other TPM this is a state that somebody may have the key of.
    Keyed,
    /// An encrypted volume of Bastide.
    Volume,
    /// An encrypted volume of somebody else, or one whose header is damaged.
    Foreign,
}

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Make a new state; nothing that counts is lost.
    Provision,
    /// Ask the TPM for the key, and go on with what was begun.
    Continue,
    /// Ask the TPM for the key; where it refuses, a person for the recovery key.
    Open,
    /// Ask a person for the recovery key.
    AskKey,
    /// Ask a person for the recovery key, or for the word to erase everything.
    AskPerson,
    /// Neither.
    Refuse(Advice),
}

/// Decides.
pub fn decide(recorded: Recorded, found: Found) -> Decision {
    match (recorded, found) {
        (Recorded::Nothing, Found::Nothing | Found::Begun) => Decision::Provision,
        // Perhaps the person's own, with another TPM or a cleared one. Only a person
        // can tell, by the recovery key.
        (Recorded::Nothing, Found::Keyed | Found::Volume | Found::Foreign) => Decision::AskPerson,
        (Recorded::Begun, Found::Nothing) => Decision::Provision,
        (Recorded::Begun, Found::Begun | Found::Keyed) => Decision::Continue,
        (Recorded::Begun, Found::Volume | Found::Foreign) => Decision::AskPerson,
        (Recorded::Finished, Found::Volume | Found::Keyed | Found::Begun) => Decision::Open,
        (Recorded::Finished, Found::Nothing | Found::Foreign) => Decision::Refuse(Advice::Replaced),
        // The recovery key opens what a dead TPM does not. Nothing is made or erased.
        (Recorded::Unknown, Found::Volume | Found::Keyed) => Decision::AskKey,
        (Recorded::Unknown, Found::Nothing | Found::Begun | Found::Foreign) => {
            Decision::Refuse(Advice::NoTpm)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL_FOUND: [Found; 5] = [
        Found::Nothing,
        Found::Begun,
        Found::Keyed,
        Found::Volume,
        Found::Foreign,
    ];

    #[test]
    fn a_machine_with_a_state_never_makes_another_nor_takes_a_strangers() {
        for found in ALL_FOUND {
            assert!(
                matches!(
                    decide(Recorded::Finished, found),
                    Decision::Open | Decision::Refuse(_)
                ),
                "{found:?}"
            );
        }
        for found in [Found::Nothing, Found::Foreign] {
            assert!(matches!(
                decide(Recorded::Finished, found),
                Decision::Refuse(_)
            ));
        }
    }

    #[test]
    fn a_volume_that_the_tpm_does_not_know_is_never_opened_or_erased_without_a_person() {
        for found in [Found::Volume, Found::Foreign] {
            for recorded in [Recorded::Nothing, Recorded::Begun] {
                assert_eq!(decide(recorded, found), Decision::AskPerson);
            }
        }
    }

    #[test]
    fn a_mark_is_no_leave_to_erase_what_somebody_has_the_key_of() {
        assert_eq!(decide(Recorded::Nothing, Found::Keyed), Decision::AskPerson);
        assert_eq!(decide(Recorded::Begun, Found::Keyed), Decision::Continue);
        assert_eq!(decide(Recorded::Finished, Found::Keyed), Decision::Open);
    }

    #[test]
    fn without_a_tpm_the_recovery_key_opens_and_nothing_is_made() {
        for found in [Found::Volume, Found::Keyed] {
            assert_eq!(decide(Recorded::Unknown, found), Decision::AskKey);
        }
        for found in [Found::Nothing, Found::Begun, Found::Foreign] {
            assert_eq!(
                decide(Recorded::Unknown, found),
                Decision::Refuse(Advice::NoTpm)
            );
        }
    }

    #[test]
    fn a_first_boot_needs_both_to_be_empty_and_goes_on_after_a_power_cut() {
        assert_eq!(
            decide(Recorded::Nothing, Found::Nothing),
            Decision::Provision
        );
        // Cut before the TPM had anything: from the start.
        assert_eq!(decide(Recorded::Nothing, Found::Begun), Decision::Provision);
        assert_eq!(decide(Recorded::Begun, Found::Begun), Decision::Continue);
        assert_eq!(decide(Recorded::Begun, Found::Nothing), Decision::Provision);
    }
}
