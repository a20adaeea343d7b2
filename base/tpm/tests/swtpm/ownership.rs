//! Whose the TPM is.

use bastide_tpm::policy::Label;
use bastide_tpm::{
    Auth, Channel, MAX_TRIES, OwnershipError, RECOVERY_INTERVAL, STORAGE_ROOT, Session,
    StorageRoot, StorageRootError,
};

use crate::emulator::Emulator;
use crate::machine::{Machine, auth};

#[test]
fn nobodys_becomes_ours_and_stays_so() {
    let Some(emulator) = Emulator::new() else {
        return;
    };
    let tpm = emulator.connect();
    let root = StorageRoot::find_or_make(&tpm, &Auth::empty()).expect("a root");
    assert_eq!(tpm.persistent_handles().expect("handles"), [STORAGE_ROOT]);
    let session = Session::salted(&tpm, &root).expect("a session");
    session.check_unowned().expect("nobody's");
    let (owner, lockout) = (auth(Label::Owner), auth(Label::Lockout));
    for _ in 0..2 {
        // A second time, as after a power cut.
        session.take_ownership(&owner, &lockout).expect("ours");
        let properties = session.properties().expect("properties");
        assert!(properties.owner_set && properties.lockout_set && !properties.endorsement_set);
        assert_eq!(properties.guessing.max_failures, MAX_TRIES);
        assert_eq!(properties.guessing.interval, RECOVERY_INTERVAL);
        assert!(!properties.guessing.locked);
    }
    assert!(matches!(
        session.check_unowned(),
        Err(OwnershipError::Foreign { hierarchy: "owner" })
    ));
    let properties = tpm.properties().expect("properties");
    assert_eq!(properties.manufacturer, "IBM");
    assert!(!properties.vendor.is_empty());
}

#[test]
fn ownership_that_was_cut_short_is_completed() {
    let Some(emulator) = Emulator::new() else {
        return;
    };
    let tpm = emulator.connect();
    let root = StorageRoot::find_or_make(&tpm, &Auth::empty()).expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    let (owner, lockout) = (auth(Label::Owner), auth(Label::Lockout));
    session
        .take_ownership(&owner, &Auth::empty())
        .expect("half");
    assert!(!session.properties().expect("properties").lockout_set);
    session.take_ownership(&owner, &lockout).expect("ours");
    assert!(session.properties().expect("properties").lockout_set);
}

#[test]
fn somebody_elses_is_refused_with_advice() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    let wrong = auth(Label::LogRoot);
    let refused = session
        .take_ownership(&wrong, &wrong)
        .expect_err("not ours");
    assert!(matches!(
        refused,
        OwnershipError::Foreign { hierarchy: "owner" }
    ));
    assert!(refused.to_string().contains("firmware"));
    // The lockout authorisation was not tried, so a good one still works.
    session.clear(&auth(Label::Lockout)).expect("cleared");
}

#[test]
fn wrong_lockout_authorisations_lock() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    assert!(matches!(
        session.clear(&Auth::empty()),
        Err(OwnershipError::Foreign {
            hierarchy: "lockout"
        })
    ));
    assert!(matches!(
        session.clear(&auth(Label::Lockout)),
        Err(OwnershipError::LockedOut)
    ));
    // What is sealed is outside of the protection, and still opens.
    drop(session);
    assert!(machine.unseal(&tpm).is_ok());
}

#[test]
fn a_storage_root_needs_the_owner() {
    let Some(machine) = Machine::new() else {
        return;
    };
    if !Emulator::has_judge() {
        return;
    }
    let owner = auth_hex(Label::Owner);
    machine.emulator.judge(&format!(
        "evictcontrol -C o -P hex:{owner} -c {STORAGE_ROOT:#x}"
    ));
    let tpm = machine.emulator.connect();
    for wrong in [Auth::empty(), auth(Label::LogRoot)] {
        assert!(matches!(
            StorageRoot::find_or_make(&tpm, &wrong),
            Err(StorageRootError::ForeignOwner)
        ));
    }
    // From the same seed, the same key: what was sealed under it opens again.
    StorageRoot::find_or_make(&tpm, &auth(Label::Owner)).expect("made");
    assert!(machine.unseal(&tpm).is_ok());
    assert_eq!(tpm.left_behind(), 0);
}

#[test]
fn another_key_in_the_storage_roots_place_is_refused() {
    let Some(emulator) = Emulator::new() else {
        return;
    };
    if !Emulator::has_judge() {
        return;
    }
    for options in [
        "-G rsa2048",
        "-G ecc -a fixedtpm|fixedparent|sensitivedataorigin|userwithauth|restricted|decrypt",
    ] {
        emulator.judge(&format!("createprimary -C o {options} -c key.ctx"));
        emulator.judge(&format!("evictcontrol -C o -c key.ctx {STORAGE_ROOT:#x}"));
        let tpm = emulator.connect();
        assert!(matches!(
            StorageRoot::find(&tpm),
            Err(StorageRootError::Foreign)
        ));
        drop(tpm);
        emulator.judge(&format!("evictcontrol -C o -c {STORAGE_ROOT:#x}"));
        emulator.judge("flushcontext -t");
    }
}

fn auth_hex(label: Label) -> String {
    hex::encode(crate::machine::secret().derive(label).expose())
}
