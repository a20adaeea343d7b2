//! A machine with a TPM that was provisioned, and an owner who signs for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use bastide_tpm::policy::{
    ApprovedPolicy, Digest, ENTER_INITRD, KERNEL_BUNDLE_PCR, Label, MachineSecret, PcrKey, Phase,
    Record, Release, Sealed, Secret, SignatureFile, approval, approved_policy,
};
use bastide_tpm::{Auth, Channel, Session, StorageRoot, Tpm, UnsealError, Unsealing};

use crate::emulator::Emulator;

/// The release that the machine was provisioned with.
pub const RELEASE: Release = Release::from_number(1_002_003);

/// What is sealed in tests.
pub fn secret() -> MachineSecret {
    MachineSecret::new(Secret::new(*b"the secret of a machine in tests"))
}

/// The authorisation value that the secret gives.
pub fn auth(label: Label) -> Auth {
    Auth::from_secret(&secret().derive(label))
}

/// A key pair of the owner's, made by openssl.
pub struct Signer {
    directory: tempfile::TempDir,
    /// Its public half.
    pub public: PcrKey,
}

impl Signer {
    /// A new RSA key.
    pub fn rsa() -> Self {
        Self::new("rsa_keygen_bits:2048", "rsa")
    }

    /// A new key on P-256.
    pub fn p256() -> Self {
        Self::new("ec_paramgen_curve:P-256", "ec")
    }

    fn new(option: &str, algorithm: &str) -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        openssl(
            directory.path(),
            &format!("genpkey -algorithm {algorithm} -pkeyopt {option} -out key.pem"),
        );
        openssl(directory.path(), "pkey -in key.pem -pubout -out public.pem");
        let pem = fs::read(directory.path().join("public.pem")).expect("a key");
        Self {
            public: PcrKey::from_pem(&pem).expect("a key"),
            directory,
        }
    }

    /// Where `public.pem` is.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// Approves PCR 11 as it is now.
    pub fn approve(&self, tpm: &Tpm, release: Release) -> ApprovedPolicy {
        let pcr_11 = tpm.read_pcr(KERNEL_BUNDLE_PCR).expect("PCR 11");
        let policy = approved_policy(&pcr_11, release);
        ApprovedPolicy {
            key: self.public.fingerprint(),
            policy,
            signature: self.sign(&approval(&policy)),
            release,
        }
    }

    /// Signs as the toolkit does.
    pub fn sign(&self, bytes: &[u8]) -> Vec<u8> {
        let place = self.directory.path();
        fs::write(place.join("data"), bytes).expect("a file");
        openssl(place, "dgst -sha256 -sign key.pem -out signature data");
        fs::read(place.join("signature")).expect("a signature")
    }
}

fn openssl(place: &Path, words: &str) {
    let output = Command::new("openssl")
        .args(words.split_whitespace())
        .current_dir(place)
        .output()
        .expect("openssl");
    assert!(output.status.success(), "openssl {words}");
}

/// A provisioned machine that has booted to the point where it asks for its secret.
pub struct Machine {
    pub emulator: Emulator,
    pub signer: Signer,
    pub sealed: Sealed,
    pub approved: ApprovedPolicy,
}

impl Machine {
    /// Provisions a new machine; `None` where there is nothing to do it with. Its owner's
    /// key is on P-256, which is made in no time; RSA, which owners have, has tests of
    /// its own.
    pub fn new() -> Option<Self> {
        Emulator::new().map(|emulator| Self::provision(emulator, Signer::p256()))
    }

    /// Provisions in the order of the initramfs.
    pub fn provision(emulator: Emulator, signer: Signer) -> Self {
        let tpm = emulator.connect();
        tpm.extend_pcr(KERNEL_BUNDLE_PCR, ENTER_INITRD)
            .expect("extended");
        let root = StorageRoot::find_or_make(&tpm, &Auth::empty()).expect("a root");
        let sealed = provision(&tpm, &root, &signer);
        let approved = signer.approve(&tpm, RELEASE);
        assert_eq!(tpm.left_behind(), 0);
        drop(tpm);
        Self {
            emulator,
            signer,
            sealed,
            approved,
        }
    }

    /// Boots it again, up to the question for the secret.
    pub fn reboot(&mut self) {
        self.emulator.reboot();
        let tpm = self.emulator.connect();
        tpm.extend_pcr(KERNEL_BUNDLE_PCR, ENTER_INITRD)
            .expect("extended");
    }

    pub fn signatures(&self) -> SignatureFile {
        SignatureFile {
            policies: vec![self.approved.clone()],
        }
    }

    /// Asks for the secret as the initramfs does.
    pub fn unseal(&self, tpm: &Tpm) -> Result<MachineSecret, UnsealError> {
        let root = StorageRoot::find(tpm).expect("a TPM").expect("a root");
        let signatures = self.signatures();
        tpm.unseal(
            &root,
            &Unsealing {
                sealed: &self.sealed,
                pcr_key: &self.signer.public,
                signatures: &signatures,
            },
        )
    }

    /// Asks for the secret as an attacker does, who does not look first.
    pub fn attack(&self, tpm: &Tpm) -> Result<MachineSecret, UnsealError> {
        let root = StorageRoot::find(tpm).expect("a TPM").expect("a root");
        self.attack_under(tpm, &root)
    }

    /// The same with a storage root key that was found before.
    pub fn attack_under(
        &self,
        tpm: &Tpm,
        root: &StorageRoot,
    ) -> Result<MachineSecret, UnsealError> {
        let signatures = self.signatures();
        let what = Unsealing {
            sealed: &self.sealed,
            pcr_key: &self.signer.public,
            signatures: &signatures,
        };
        tpm.unseal_unseen(root, &what, &self.approved)
    }
}

/// Which sealing the provisioned machine is at.
pub const SEALINGS: u32 = 1;

/// The record of the provisioned machine.
pub fn record(signer: &Signer, sealings: u32) -> Record {
    Record {
        phase: Phase::Provisioned,
        sealings,
        release: RELEASE,
        volume: [1; 16],
        binding: Digest::of(&[b"volume"]),
        pcr_key: signer.public.fingerprint(),
        first_boot: 7,
        epoch: [0xcd; 16],
    }
}

/// Counter, seal, ownership, record.
pub fn provision(tpm: &Tpm, root: &StorageRoot, signer: &Signer) -> Sealed {
    let session = Session::salted(tpm, root).expect("a session");
    session.check_unowned().expect("nobody's");
    let sealed = session
        .seal(root, &secret(), &signer.public, SEALINGS)
        .expect("sealed");
    let (owner, lockout) = (auth(Label::Owner), auth(Label::Lockout));
    session.take_ownership(&owner, &lockout).expect("ours");
    session
        .raise_oldest_release(&owner, RELEASE)
        .expect("a counter");
    session
        .write_record(&owner, &record(signer, SEALINGS))
        .expect("a record");
    sealed
}
