//! NV indices: ours to the bit, or not used.

use bastide_tpm::policy::{LOG_COUNTER, Label, NvDefinition, RECORD, Release, Secret, VERSION};
use bastide_tpm::{Auth, NvError, NvState, Session, StorageRoot};

use crate::machine::{Machine, RELEASE, auth};

fn with_session(test: impl FnOnce(&Session<'_>, &StorageRoot)) {
    let Some(machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    test(&session, &root);
}

#[test]
fn are_defined_written_and_removed() {
    with_session(|session, _| {
        let owner = auth(Label::Owner);
        session.undefine_nv(&RECORD, &owner).expect("removed");
        assert_eq!(session.nv_state(&RECORD).expect("state"), NvState::Absent);
        assert_eq!(session.record().expect("state"), None);
        session
            .define_nv(&RECORD, &owner, &Auth::empty())
            .expect("defined");
        assert_eq!(session.nv_state(&RECORD).expect("state"), NvState::Defined);
        assert_eq!(session.record().expect("state"), None, "cut short");
        assert!(matches!(
            session.read_nv(&RECORD, &Auth::empty()),
            Err(NvError::NeverWritten { .. })
        ));
        session
            .write_nv(&RECORD, &owner, &[5; 144])
            .expect("written");
        assert_eq!(
            session.read_nv(&RECORD, &Auth::empty()).expect("read"),
            [5; 144]
        );
        assert!(matches!(session.record(), Err(NvError::Record(_))));
        assert!(matches!(
            session.write_nv(&RECORD, &owner, &[5; 143]),
            Err(NvError::Size { .. })
        ));
        session.undefine_nv(&RECORD, &owner).expect("removed");
        assert_eq!(session.nv_state(&RECORD).expect("state"), NvState::Absent);
    });
}

#[test]
fn only_the_owner_writes() {
    with_session(|session, _| {
        let (owner, other) = (auth(Label::Owner), auth(Label::LogRoot));
        session
            .ensure_nv(&RECORD, &owner, &Auth::empty())
            .expect("defined");
        for wrong in [&other, &Auth::empty()] {
            for refused in [
                session.write_nv(&RECORD, wrong, &[0; 144]),
                session.undefine_nv(&VERSION, wrong),
                session.define_nv(&LOG_COUNTER, wrong, &Auth::empty()),
                session.raise_oldest_release(wrong, Release::from_number(u64::MAX)),
            ] {
                assert!(
                    matches!(refused, Err(NvError::Authorization { .. })),
                    "{refused:?}"
                );
            }
        }
        assert_eq!(session.oldest_release().expect("read"), Some(RELEASE));
    });
}

#[test]
fn the_version_counter_never_goes_back() {
    with_session(|session, _| {
        let owner = auth(Label::Owner);
        let older = Release::from_number(RELEASE.number() - 1);
        assert!(matches!(
            session.raise_oldest_release(&owner, older),
            Err(NvError::Backwards { .. })
        ));
        session
            .raise_oldest_release(&owner, RELEASE)
            .expect("already so");
        assert_eq!(session.oldest_release().expect("read"), Some(RELEASE));
        // Sealing again, by a release that nobody has seen healthy yet, raises nothing.
        let newer = Release::from_number(RELEASE.number() + 1);
        session
            .ensure_oldest_release(&owner, newer)
            .expect("there already");
        assert_eq!(session.oldest_release().expect("read"), Some(RELEASE));
        session.undefine_nv(&VERSION, &owner).expect("removed");
        session
            .ensure_oldest_release(&owner, newer)
            .expect("defined");
        assert_eq!(session.oldest_release().expect("read"), Some(newer));
    });
}

#[test]
fn one_with_other_attributes_is_not_ours() {
    with_session(|session, _| {
        let owner = auth(Label::Owner);
        session.undefine_nv(&VERSION, &owner).expect("removed");
        for foreign in [
            NvDefinition { size: 9, ..VERSION },
            NvDefinition {
                attributes: VERSION
                    .attributes
                    .and(bastide_tpm::policy::NvAttributes::AUTH_WRITE),
                ..VERSION
            },
        ] {
            session
                .define_nv(&foreign, &owner, &Auth::empty())
                .expect("defined");
            assert!(matches!(
                session.nv_state(&VERSION),
                Err(NvError::Foreign { index: 0x01b0_5702 })
            ));
            assert!(matches!(
                session.oldest_release(),
                Err(NvError::Foreign { .. })
            ));
            assert!(matches!(
                session.raise_oldest_release(&owner, RELEASE),
                Err(NvError::Foreign { .. })
            ));
            session.undefine_nv(&foreign, &owner).expect("removed");
        }
    });
}

#[test]
fn the_log_counter_counts_for_who_knows_and_shows_to_all() {
    with_session(|session, root| {
        let anchor = auth(Label::LogAnchor);
        session
            .define_nv(&LOG_COUNTER, &auth(Label::Owner), &anchor)
            .expect("defined");
        assert!(matches!(
            session.log_count(root),
            Err(NvError::NeverWritten { .. })
        ));
        session.count_log(&anchor).expect("counted");
        let first = session.log_count(root).expect("read");
        session.count_log(&anchor).expect("counted");
        assert_eq!(session.log_count(root).expect("read"), first + 1);
        assert_eq!(
            session.read_nv(&LOG_COUNTER, &anchor).expect("read"),
            (first + 1).to_be_bytes()
        );
        let wrong = Auth::from_secret(&Secret::new([9; 32]));
        for auth in [&wrong, &Auth::empty(), &auth(Label::Owner)] {
            assert!(matches!(
                session.count_log(auth),
                Err(NvError::Authorization { .. })
            ));
        }
        assert_eq!(session.log_count(root).expect("read"), first + 1);
    });
}
