//! tpm2-tools and openssl compute the same, and find nothing left behind.

use std::fs;

use bastide_tpm::policy::{
    Digest, KERNEL_BUNDLE_PCR, LEAVE_INITRD, LOG_COUNTER, Label, NvDefinition, POLICY_REFERENCE,
    Pcr, Policy, RECORD, SEALINGS_OFFSET, SECURE_BOOT_PCR, VERSION, approval, approved_policy,
    sealing_policy,
};
use bastide_tpm::{Auth, Channel, Session, StorageRoot};

use crate::emulator::Emulator;
use crate::machine::{Machine, RELEASE, SEALINGS, Signer, auth, secret};

fn machine() -> Option<Machine> {
    if !Emulator::has_judge() {
        return None;
    }
    Emulator::new().map(|emulator| Machine::provision(emulator, Signer::rsa()))
}

/// A `TPM2B` structure.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}

#[test]
fn the_owners_key_is_as_tpm2_tools_load_it() {
    let Some(machine) = machine() else { return };
    let pem = machine.signer.directory().join("public.pem");
    machine.emulator.judge(&format!(
        "loadexternal -C o -G rsa -u {} -a decrypt|sign|userwithauth -c key.ctx",
        pem.display()
    ));
    machine.emulator.judge("flushcontext -t");
    machine.emulator.judge("readpublic -c key.ctx -o key");
    let mut area = fs::read(machine.emulator.directory().join("key")).expect("a file");
    // They write the exponent out.
    assert_eq!(area[18..22], [0, 1, 0, 1]);
    area[18..22].fill(0);
    assert_eq!(area, sized(machine.signer.public.public_area()));
}

#[test]
fn policies_are_those_of_tpm2_tools() {
    let Some(machine) = machine() else { return };
    let tpm = machine.emulator.connect();
    let pcr_7 = tpm.read_pcr(SECURE_BOOT_PCR).expect("PCR 7");
    let pcr_11 = tpm.read_pcr(KERNEL_BUNDLE_PCR).expect("PCR 11");
    drop(tpm);
    let place = machine.emulator.directory();
    let judge = |words: &str| machine.emulator.judge(words);
    let read = |name: &str| {
        let bytes = fs::read(place.join(name)).expect("a file");
        Digest::from_bytes(bytes.try_into().expect("32 bytes"))
    };

    judge("startauthsession -S trial.ctx");
    judge("policypcr -S trial.ctx -l sha256:11 -L pcr.policy");
    assert_eq!(
        read("pcr.policy"),
        Policy::new().pcr(KERNEL_BUNDLE_PCR, &pcr_11).digest()
    );
    fs::write(place.join("operand"), RELEASE.to_bytes()).expect("a file");
    let index = VERSION.index.handle();
    judge(&format!(
        "policynv -S trial.ctx -i operand -L nv.policy {index:#x} ule"
    ));
    assert_eq!(read("nv.policy"), approved_policy(&pcr_11, RELEASE));
    judge("flushcontext trial.ctx");

    fs::write(
        place.join("key"),
        sized(machine.signer.public.public_area()),
    )
    .expect("a file");
    judge("loadexternal -C o -u key -c key.ctx -n key.name");
    judge("flushcontext -t");
    let name = fs::read(place.join("key.name")).expect("a name");
    assert_eq!(name, machine.signer.public.name().as_bytes());

    judge("startauthsession -S trial.ctx");
    fs::write(place.join("word"), POLICY_REFERENCE).expect("a file");
    judge("policyauthorize -S trial.ctx -i nv.policy -n key.name -q word -L authorize.policy");
    assert_eq!(
        read("authorize.policy"),
        Policy::authorized_by(&machine.signer.public.name()).digest()
    );
    judge("policypcr -S trial.ctx -l sha256:7");
    fs::write(place.join("sealings"), SEALINGS.to_be_bytes()).expect("a file");
    let index = RECORD.index.handle();
    judge(&format!(
        "policynv -S trial.ctx -i sealings --offset {SEALINGS_OFFSET} -L sealing.policy {index:#x} eq"
    ));
    assert_eq!(
        read("sealing.policy"),
        sealing_policy(&machine.signer.public.name(), &pcr_7, SEALINGS)
    );
    judge("flushcontext trial.ctx");
}

/// The whole unsealing, by tools of other people.
#[test]
fn tpm2_tools_open_what_we_sealed() {
    let Some(machine) = machine() else { return };
    let place = machine.emulator.directory();
    let write = |name: &str, bytes: &[u8]| fs::write(place.join(name), bytes).expect("a file");
    write("public", &sized(&machine.sealed.public));
    write("private", &sized(&machine.sealed.private));
    write("policy", machine.approved.policy.as_bytes());
    write("approved", &approval(&machine.approved.policy));
    write("word", POLICY_REFERENCE.as_bytes());
    write("signature", &machine.approved.signature);
    write("operand", &RELEASE.to_bytes());
    let judge = |words: &str| machine.emulator.judge(words);
    fs::write(
        place.join("key"),
        sized(machine.signer.public.public_area()),
    )
    .expect("a file");
    judge("loadexternal -C o -u key -c key.ctx -n key.name");
    judge("verifysignature -c key.ctx -g sha256 -f rsassa -m approved -s signature -t ticket");
    judge("flushcontext -t");
    judge("load -C 0x81000001 -u public -r private -c sealed.ctx");
    judge("flushcontext -t");
    judge("startauthsession --policy-session -S policy.ctx");
    judge("policypcr -S policy.ctx -l sha256:11");
    judge("policynv -S policy.ctx -i operand 0x01b05702 ule");
    judge("policyauthorize -S policy.ctx -i policy -n key.name -q word -t ticket");
    judge("policypcr -S policy.ctx -l sha256:7");
    write("sealings", &SEALINGS.to_be_bytes());
    judge("policynv -S policy.ctx -i sealings --offset 12 0x01b05701 eq");
    judge("unseal -c sealed.ctx -p session:policy.ctx -o opened");
    judge("flushcontext policy.ctx");
    assert_eq!(
        fs::read(place.join("opened")).expect("a file"),
        secret().expose()
    );
}

/// An old release with a hole: it boots, its bundle carries systemd's signature for PCR 11
/// alone, and whoever took it over leaves the version index out.
#[test]
fn systemds_signature_does_not_pass_the_version_by() {
    let Some(machine) = machine() else { return };
    let tpm = machine.emulator.connect();
    let pcr_11 = tpm.read_pcr(KERNEL_BUNDLE_PCR).expect("PCR 11");
    drop(tpm);
    let bare = Policy::new().pcr(KERNEL_BUNDLE_PCR, &pcr_11).digest();
    let place = machine.emulator.directory();
    let write = |name: &str, bytes: &[u8]| fs::write(place.join(name), bytes).expect("a file");
    write("public", &sized(&machine.sealed.public));
    write("private", &sized(&machine.sealed.private));
    write("policy", bare.as_bytes());
    write("signature", &machine.signer.sign(bare.as_bytes()));
    write("word", POLICY_REFERENCE.as_bytes());
    write("sealings", &SEALINGS.to_be_bytes());
    write("key", &sized(machine.signer.public.public_area()));
    let judge = |words: &str| machine.emulator.judge(words);
    judge("loadexternal -C o -u key -c key.ctx -n key.name");
    // A good signature of the owner's key: the TPM says so.
    judge("verifysignature -c key.ctx -g sha256 -f rsassa -m policy -s signature -t ticket");
    judge("flushcontext -t");
    judge("load -C 0x81000001 -u public -r private -c sealed.ctx");
    judge("flushcontext -t");
    let start = || {
        judge("startauthsession --policy-session -S policy.ctx");
        judge("policypcr -S policy.ctx -l sha256:11");
    };
    // Without our word the TPM takes the approval, and it is not the one that is demanded.
    start();
    judge("policyauthorize -S policy.ctx -i policy -n key.name -t ticket");
    judge("policypcr -S policy.ctx -l sha256:7");
    judge("policynv -S policy.ctx -i sealings --offset 12 0x01b05701 eq");
    let refused = machine
        .emulator
        .refused("unseal -c sealed.ctx -p session:policy.ctx -o opened");
    assert!(refused.contains("policy check failed"), "{refused}");
    judge("flushcontext policy.ctx");
    // With it the ticket is for something else.
    start();
    machine
        .emulator
        .refused("policyauthorize -S policy.ctx -i policy -n key.name -q word -t ticket");
    judge("flushcontext policy.ctx");
    assert!(!place.join("opened").exists());
}

#[test]
fn indices_are_as_tpm2_tools_print_them() {
    let Some(machine) = machine() else { return };
    let tpm = machine.emulator.connect();
    let root = StorageRoot::find(&tpm).expect("a TPM").expect("a root");
    let session = Session::salted(&tpm, &root).expect("a session");
    let owner = auth(Label::Owner);
    session
        .ensure_nv(&RECORD, &owner, &Auth::empty())
        .expect("defined");
    session
        .ensure_nv(&LOG_COUNTER, &owner, &auth(Label::LogAnchor))
        .expect("defined");
    drop(session);
    drop(tpm);
    let attributes = "ownerread|authread|no_da";
    for (index, written, friendly) in [
        (&RECORD, true, format!("ownerwrite|{attributes}|written")),
        (&VERSION, true, format!("ownerwrite|{attributes}|written")),
        (
            &LOG_COUNTER,
            false,
            "authwrite|nt=0x1|ownerread|authread|policyread|no_da".to_owned(),
        ),
    ] as [(&NvDefinition, bool, String); 3]
    {
        let handle = index.index.handle();
        let printed = machine.emulator.judge(&format!("nvreadpublic {handle:#x}"));
        let name = index.name(written).to_string();
        assert!(printed.contains(&format!("name: {name}")), "{printed}");
        assert!(
            printed.contains(&format!("friendly: {friendly}")),
            "{printed}"
        );
        assert!(
            printed.contains(&format!("size: {}", index.size)),
            "{printed}"
        );
        if let Some(policy) = index.policy_digest() {
            let policy = policy.to_string().to_uppercase();
            assert!(printed.contains(&policy), "{printed}");
        }
    }
}

#[test]
fn every_bank_is_extended() {
    let Some(machine) = machine() else { return };
    let tpm = machine.emulator.connect();
    let pcr = Pcr::new(16).expect("the debug PCR");
    let before = tpm.read_pcr(pcr).expect("PCR 16");
    tpm.extend_pcr(pcr, LEAVE_INITRD).expect("extended");
    let after = tpm.read_pcr(pcr).expect("PCR 16");
    assert_eq!(after, before.extended_with(LEAVE_INITRD));
    drop(tpm);
    let printed = machine.emulator.judge("pcrread");
    let lines: Vec<&str> = printed
        .lines()
        .filter(|line| line.trim_start().starts_with("16:"))
        .collect();
    assert!(lines.len() >= 3, "{printed}");
    for line in lines {
        assert!(!line.contains("0000000000000000"), "{line}");
    }
    let ours = after.to_string().to_uppercase();
    assert!(printed.contains(&ours), "{printed}");
}

#[test]
fn nothing_is_left_behind() {
    let Some(machine) = machine() else { return };
    let tpm = machine.emulator.connect();
    machine.unseal(&tpm).expect("opened");
    tpm.extend_pcr(KERNEL_BUNDLE_PCR, LEAVE_INITRD)
        .expect("extended");
    machine.attack(&tpm).expect_err("refused");
    assert_eq!(tpm.left_behind(), 0);
    drop(tpm);
    for kind in ["transient", "loaded-session", "saved-session"] {
        let printed = machine.emulator.judge(&format!("getcap handles-{kind}"));
        assert_eq!(printed.trim(), "", "{kind}");
    }
}

#[test]
fn the_clock_counts_resets() {
    let Some(mut machine) = machine() else { return };
    let tpm = machine.emulator.connect();
    let first = tpm.clock().expect("a clock");
    drop(tpm);
    machine.reboot();
    let tpm = machine.emulator.connect();
    let second = tpm.clock().expect("a clock");
    assert_eq!(second.resets, first.resets + 1);
}
