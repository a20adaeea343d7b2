//! The secret goes to the signed system in the condition it was sealed in, to no other.
//! Each refusal is asked for twice: as the initramfs does, which explains it, and as an
//! attacker does, whom only the TPM stops.

use bastide_tpm::policy::{
    ENTER_INITRD, KERNEL_BUNDLE_PCR, LEAVE_INITRD, Label, Release, SECURE_BOOT_PCR, approval,
    sealing_policy,
};
use bastide_tpm::{Auth, Channel, Session, StorageRoot, UnsealError};

use crate::emulator::Emulator;
use crate::machine::{Machine, RELEASE, SEALINGS, Signer, auth, provision, record, secret};

#[test]
fn the_signed_system_opens() {
    for signer in [Signer::rsa, Signer::p256] {
        let Some(emulator) = Emulator::new() else {
            return;
        };
        let mut machine = Machine::provision(emulator, signer());
        for _ in 0..2 {
            let tpm = machine.emulator.connect();
            let opened = machine.unseal(&tpm).expect("opened");
            assert_eq!(opened.expose(), secret().expose());
            assert_eq!(tpm.left_behind(), 0);
            drop(tpm);
            machine.reboot();
        }
    }
}

#[test]
fn the_running_system_does_not() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    tpm.extend_pcr(KERNEL_BUNDLE_PCR, LEAVE_INITRD)
        .expect("extended");
    let refused = machine.unseal(&tpm);
    assert!(
        matches!(refused, Err(UnsealError::NotApproved { .. })),
        "{refused:?}"
    );
    let refused = machine.attack(&tpm);
    assert!(matches!(refused, Err(UnsealError::Policy)), "{refused:?}");
    // Nor with the word once more.
    tpm.extend_pcr(KERNEL_BUNDLE_PCR, ENTER_INITRD)
        .expect("extended");
    assert!(matches!(machine.attack(&tpm), Err(UnsealError::Policy)));
}

#[test]
fn another_secure_boot_does_not() {
    let Some(mut machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    tpm.extend_pcr(SECURE_BOOT_PCR, "off").expect("extended");
    let refused = machine.unseal(&tpm);
    assert!(
        matches!(refused, Err(UnsealError::SecureBootChanged { .. })),
        "{refused:?}"
    );
    assert!(matches!(machine.attack(&tpm), Err(UnsealError::Policy)));
    // The header is only a hint: changing it changes the message, not the answer.
    machine.sealed.pcr_7 = tpm.read_pcr(SECURE_BOOT_PCR).expect("PCR 7");
    assert!(matches!(machine.unseal(&tpm), Err(UnsealError::Policy)));
}

#[test]
fn an_older_release_does_not() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    let newer = Release::from_number(RELEASE.number() + 1);
    session
        .raise_oldest_release(&auth(Label::Owner), newer)
        .expect("raised");
    drop(session);
    match machine.unseal(&tpm) {
        Err(UnsealError::ReleaseTooOld { release, oldest }) => {
            assert_eq!((release, oldest), (RELEASE, newer));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(machine.attack(&tpm), Err(UnsealError::Policy)));
    // A newer one still does: updates need no new sealing.
    let mut updated = machine;
    updated.approved = updated
        .signer
        .approve(&tpm, Release::from_number(newer.number() + 5));
    assert!(updated.unseal(&tpm).is_ok());
    // The signature is for one number: saying another is not enough.
    updated.approved = updated.signer.approve(&tpm, RELEASE);
    updated.approved.release = newer;
    assert!(matches!(updated.attack(&tpm), Err(UnsealError::Policy)));
}

#[test]
fn what_was_sealed_before_does_not_open_once_it_is_sealed_again() {
    let Some(mut machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    let again = SEALINGS + 1;
    let sealed = session
        .seal(&root, &secret(), &machine.signer.public, again)
        .expect("sealed");
    let copied = std::mem::replace(&mut machine.sealed, sealed);

    // The power is cut here: the TPM still goes by the old one.
    for refused in [machine.unseal(&tpm), machine.attack(&tpm)] {
        assert!(
            matches!(
                refused,
                Err(UnsealError::SealedAgain { .. } | UnsealError::Policy)
            ),
            "{refused:?}"
        );
    }
    session
        .write_record(&auth(Label::Owner), &record(&machine.signer, again))
        .expect("a record");
    drop(session);
    assert!(machine.unseal(&tpm).is_ok());

    machine.sealed = copied;
    let refused = machine.unseal(&tpm);
    assert!(
        matches!(
            refused,
            Err(UnsealError::SealedAgain {
                sealed: SEALINGS,
                ..
            })
        ),
        "{refused:?}"
    );
    assert!(matches!(machine.attack(&tpm), Err(UnsealError::Policy)));
    // Nor when it claims to be the new one.
    machine.sealed.sealings = again;
    for refused in [machine.unseal(&tpm), machine.attack(&tpm)] {
        assert!(matches!(refused, Err(UnsealError::Policy)), "{refused:?}");
    }
}

#[test]
fn a_changed_blob_opens_nothing() {
    let Some(mut machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let good = machine.sealed.clone();
    for place in (0..good.private.len()).step_by(7) {
        machine.sealed = good.clone();
        machine.sealed.private[place] ^= 1;
        let refused = machine.attack(&tpm);
        assert!(
            matches!(refused, Err(UnsealError::OtherTpm)),
            "{place}: {refused:?}"
        );
    }
    for place in (0..good.public.len()).step_by(5) {
        machine.sealed = good.clone();
        machine.sealed.public[place] ^= 1;
        let refused = machine.attack(&tpm);
        assert!(
            matches!(refused, Err(UnsealError::OtherTpm)),
            "{place}: {refused:?}"
        );
    }
    machine.sealed = good;
    assert!(machine.attack(&tpm).is_ok());
}

#[test]
fn another_owners_signature_opens_nothing() {
    let Some(mut machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let other = Signer::p256();
    let good = machine.approved.clone();

    // Their signature passed off as the owner's.
    machine.approved.signature = other.sign(&approval(&good.policy));
    for refused in [machine.unseal(&tpm), machine.attack(&tpm)] {
        assert!(
            matches!(refused, Err(UnsealError::SignatureInvalid)),
            "{refused:?}"
        );
    }
    // The owner's own, without our word: as systemd's tools sign.
    machine.approved.signature = machine.signer.sign(good.policy.as_bytes());
    for refused in [machine.unseal(&tpm), machine.attack(&tpm)] {
        assert!(
            matches!(refused, Err(UnsealError::SignatureInvalid)),
            "{refused:?}"
        );
    }
    for signature in [vec![0; 71], vec![0x30, 6, 2, 1, 1, 2, 1, 1], vec![1; 3]] {
        machine.approved.signature = signature;
        let refused = machine.attack(&tpm);
        assert!(
            matches!(refused, Err(UnsealError::SignatureInvalid)),
            "{refused:?}"
        );
    }

    // Their key and their signature.
    machine.approved = other.approve(&tpm, RELEASE);
    machine.signer = other;
    let refused = machine.unseal(&tpm);
    assert!(
        matches!(refused, Err(UnsealError::OtherOwner { .. })),
        "{refused:?}"
    );
    machine.sealed.pcr_key = machine.signer.public.name();
    for refused in [machine.unseal(&tpm), machine.attack(&tpm)] {
        assert!(matches!(refused, Err(UnsealError::Policy)), "{refused:?}");
    }
}

#[test]
fn a_blob_with_a_policy_of_ones_own_does_not_hold_the_secret() {
    let Some(mut machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let other = Signer::p256();
    let pcr_7 = tpm.read_pcr(SECURE_BOOT_PCR).expect("PCR 7");
    let theirs = sealing_policy(&other.public.name(), &pcr_7, SEALINGS);
    machine.sealed.public[10..42].copy_from_slice(theirs.as_bytes());
    machine.approved = other.approve(&tpm, RELEASE);
    machine.signer = other;
    assert!(matches!(machine.attack(&tpm), Err(UnsealError::OtherTpm)));
}

#[test]
fn another_tpm_opens_nothing() {
    let (Some(machine), Some(other)) = (Machine::new(), Emulator::new()) else {
        return;
    };
    // The same firmware, the same kernel bundle, even the same owner's provisioning.
    let tpm = other.connect();
    tpm.extend_pcr(KERNEL_BUNDLE_PCR, ENTER_INITRD)
        .expect("extended");
    let root = StorageRoot::find_or_make(&tpm, &Auth::empty()).expect("a root");
    provision(&tpm, &root, &machine.signer);
    for refused in [machine.unseal(&tpm), machine.attack(&tpm)] {
        assert!(matches!(refused, Err(UnsealError::OtherTpm)), "{refused:?}");
    }
}

#[test]
fn a_cleared_tpm_opens_nothing() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let tpm = machine.emulator.connect();
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    session.clear(&auth(Label::Lockout)).expect("cleared");
    drop(session);
    assert!(StorageRoot::find(&tpm).expect("a TPM").is_none());
    let root = StorageRoot::find_or_make(&tpm, &Auth::empty()).expect("a root");
    provision(&tpm, &root, &machine.signer);
    for refused in [machine.unseal(&tpm), machine.attack(&tpm)] {
        assert!(matches!(refused, Err(UnsealError::OtherTpm)), "{refused:?}");
    }
}
