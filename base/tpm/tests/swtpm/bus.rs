//! Somebody with wires on the bus learns no secret, and changes no answer unnoticed.

use std::rc::Rc;

use bastide_tpm::policy::{ENTER_INITRD, KERNEL_BUNDLE_PCR, LOG_COUNTER, Label, SECURE_BOOT_PCR};
use bastide_tpm::{Auth, Channel, NvError, Session, StorageRoot, TpmError, UnsealError};

use crate::emulator::{Bus, Emulator};
use crate::machine::{Machine, RELEASE, Signer, auth, provision, record, secret};

const UNSEAL: u32 = 0x15e;

#[test]
fn no_secret_crosses_the_bus_in_clear() {
    let Some(emulator) = Emulator::new() else {
        return;
    };
    let signer = Signer::p256();
    let bus = Rc::new(Bus::default());
    let tpm = emulator.connect_through(&bus);
    tpm.extend_pcr(KERNEL_BUNDLE_PCR, ENTER_INITRD)
        .expect("extended");
    let root = StorageRoot::find_or_make(&tpm, &Auth::empty()).expect("a root");
    let sealed = provision(&tpm, &root, &signer);
    let session = Session::salted(&tpm, &root).expect("a session");
    let anchor = auth(Label::LogAnchor);
    session
        .define_nv(&LOG_COUNTER, &auth(Label::Owner), &anchor)
        .expect("defined");
    session.count_log(&anchor).expect("counted");
    drop(session);
    let approved = signer.approve(&tpm, RELEASE);
    let machine = Machine {
        emulator,
        signer,
        sealed,
        approved,
    };
    let opened = machine.unseal(&tpm).expect("opened");
    assert_eq!(opened.expose(), secret().expose());

    let heard = bus.heard.borrow();
    let crossed = |bytes: &[u8]| {
        heard.iter().any(|(command, answer)| {
            [command, answer]
                .iter()
                .any(|message| message.windows(bytes.len()).any(|window| window == bytes))
        })
    };
    // The listener does hear what is in clear.
    assert!(crossed(ENTER_INITRD.as_bytes()));
    assert!(crossed(machine.approved.policy.as_bytes()));
    let mut secrets = vec![*secret().expose()];
    for label in [Label::Owner, Label::Lockout, Label::LogAnchor] {
        secrets.push(*secret().derive(label).expose());
    }
    for secret in secrets {
        for part in secret.chunks(8) {
            assert!(!crossed(part));
        }
    }
}

#[test]
fn no_two_sessions_encrypt_alike() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let bus = Rc::new(Bus::default());
    let tpm = machine.emulator.connect_through(&bus);
    machine.unseal(&tpm).expect("opened");
    machine.unseal(&tpm).expect("opened");
    let heard = bus.heard.borrow();
    let answers: Vec<&[u8]> = heard
        .iter()
        .filter(|(command, _)| Bus::command_code(command) == UNSEAL)
        .map(|(_, answer)| &answer[16..48])
        .collect();
    assert_eq!(answers.len(), 2);
    assert_ne!(answers[0], answers[1]);
}

/// Every answer of a whole unsealing, here and there; the one that counts more closely.
#[test]
fn a_changed_answer_never_gives_another_secret() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let bus = Rc::new(Bus::default());
    let tpm = machine.emulator.connect_through(&bus);
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    bus.heard.borrow_mut().clear();
    machine.attack_under(&tpm, &root).expect("opened");
    let lengths: Vec<(u32, usize)> = bus
        .heard
        .borrow()
        .iter()
        .map(|(command, answer)| (Bus::command_code(command), answer.len()))
        .collect();
    drop(tpm);
    for (number, (code, length)) in lengths.iter().enumerate() {
        let step = if *code == UNSEAL { 5 } else { 53 };
        for bit in (0..length * 8).step_by(step) {
            let tpm = machine.emulator.connect_through(&bus);
            bus.heard.borrow_mut().clear();
            bus.flip.set(Some((number, bit)));
            let result = machine.attack_under(&tpm, &root);
            bus.flip.set(None);
            drop(tpm);
            machine.emulator.forget();
            match result {
                Ok(opened) => {
                    assert_eq!(opened.expose(), secret().expose());
                    assert_ne!(*code, UNSEAL, "bit {bit} of the secret's answer");
                }
                Err(UnsealError::Tpm(TpmError::Tampered { .. })) => {}
                // Header and sizes are found to make no sense, or refusals are invented.
                Err(error) => {
                    assert!(*code != UNSEAL || bit < 14 * 8, "bit {bit}: {error}");
                }
            }
        }
    }
}

#[test]
fn changed_answers_within_a_session_are_found() {
    let Some(machine) = Machine::new() else {
        return;
    };
    let bus = Rc::new(Bus::default());
    let tpm = machine.emulator.connect_through(&bus);
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let owner = auth(Label::Owner);
    let record = record(&machine.signer, 1);
    let session = Session::salted(&tpm, &root).expect("a session");
    session.write_record(&owner, &record).expect("written");
    drop(session);

    // Past the header and the size of the parameters, everything is under the HMAC.
    let flipped = |bit: usize, act: &dyn Fn(&Session<'_>) -> Option<TpmError>| {
        let session = Session::salted(&tpm, &root).expect("a session");
        bus.heard.borrow_mut().clear();
        bus.flip.set(Some((0, bit)));
        let error = act(&session);
        bus.flip.set(None);
        assert!(
            matches!(error, Some(TpmError::Tampered { .. })),
            "bit {bit}: {error:?}"
        );
    };
    for bit in (14 * 8..14 * 8 + 400).step_by(7) {
        flipped(bit, &|session| session.read_pcr(SECURE_BOOT_PCR).err());
        flipped(bit, &|session| session.nv_indices().err());
        flipped(bit, &|session| {
            session.extend_pcr(SECURE_BOOT_PCR, "x").err()
        });
    }

    // The record's own answer comes after two others.
    for bit in (14 * 8..14 * 8 + 144 * 8).step_by(31) {
        let session = Session::salted(&tpm, &root).expect("a session");
        bus.heard.borrow_mut().clear();
        bus.flip.set(Some((3, bit)));
        let read = session.record();
        bus.flip.set(None);
        assert!(
            matches!(read, Err(NvError::Tpm(TpmError::Tampered { .. }))),
            "bit {bit}: {read:?}"
        );
    }
    let session = Session::salted(&tpm, &root).expect("a session");
    assert_eq!(session.record().expect("read"), Some(record));
}
