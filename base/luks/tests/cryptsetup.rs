//! cryptsetup judges: what we write it opens, what it writes we open. On image files,
//! so without the kernel's part.
#![forbid(unsafe_code)]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
};

use bastide_luks::{
    Cipher, Effort, LuksError, NewVolume, Passphrase, Token, Unlocked, Volume, VolumeKey,
};
use tempfile::TempDir;

const FIRST: &[u8] = b"first passphrase\n\0with bytes \xff";
const SECOND: &[u8] = b"second passphrase";

/// Weak enough to be quick in tests.
const CHOSEN: Effort = Effort::Chosen {
    passes: 4,
    memory: 64,
    lanes: 2,
};

struct Bench {
    folder: TempDir,
    image: PathBuf,
}

impl Bench {
    /// None where there is no cryptsetup, unless it is required.
    fn new() -> Option<Self> {
        if Command::new("cryptsetup")
            .arg("--version")
            .output()
            .is_err()
        {
            let required = std::env::var_os("BASTIDE_TEST_TOOLS").is_some();
            assert!(!required, "there is no cryptsetup");
            eprintln!("skipped: there is no cryptsetup");
            return None;
        }
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        File::create(&image).unwrap().set_len(64 << 20).unwrap();
        fs::write(folder.path().join("first"), FIRST).unwrap();
        fs::write(folder.path().join("second"), SECOND).unwrap();
        Some(Self { folder, image })
    }

    fn key_file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn cryptsetup(&self, arguments: &[&str]) -> Output {
        Command::new("cryptsetup")
            .args(["--batch-mode", "--disable-locks"])
            .args(arguments)
            .arg(&self.image)
            .current_dir(self.folder.path())
            .output()
            .unwrap()
    }

    fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.cryptsetup(arguments);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {errors}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn opens(&self, key_file: &str) -> bool {
        let output = self.cryptsetup(&["open", "--test-passphrase", "--key-file", key_file]);
        output.status.success()
    }

    fn format(&self, cipher: Cipher) -> (Volume, VolumeKey) {
        let new = NewVolume {
            label: "state",
            cipher,
            passphrase: &passphrase(FIRST),
            effort: Effort::HighEntropy,
            tokens: &[],
        };
        Volume::format(&self.image, &new).unwrap()
    }
}

fn passphrase(bytes: &[u8]) -> Passphrase {
    Passphrase::new(bytes).unwrap()
}

fn unlocked(path: &Path, bytes: &[u8]) -> Option<(u32, Vec<u8>)> {
    let opened = Volume::open(path).unwrap();
    assert!(!opened.repaired);
    match opened.volume.unlock(&passphrase(bytes)).unwrap() {
        Unlocked::Opened { keyslot, key } => Some((keyslot, key.expose().to_vec())),
        Unlocked::Refused => None,
    }
}

#[test]
fn cryptsetup_opens_what_we_write() {
    let Some(bench) = Bench::new() else { return };
    for cipher in Cipher::ALL {
        let (volume, key) = bench.format(cipher);
        bench.succeeds(&["isLuks", "--type", "luks2"]);
        assert!(bench.opens("first") && !bench.opens("second"));
        let dump = bench.succeeds(&["luksDump"]);
        for line in [
            volume.uuid().to_string().as_str(),
            "state",
            cipher.encryption(),
            cipher.integrity(),
            "sector: 4096 [bytes]",
            "offset: 16777216 [bytes]",
        ] {
            assert!(dump.contains(line), "{line} is not in:\n{dump}");
        }
        let file = bench.key_file("volume-key");
        bench.succeeds(&[
            "luksDump",
            "--dump-volume-key",
            "--key-file",
            "first",
            "--volume-key-file",
            "volume-key",
        ]);
        assert_eq!(fs::read(&file).unwrap(), key.expose());
        fs::remove_file(&file).unwrap();
    }
}

#[test]
fn key_slots_go_both_ways() {
    let Some(bench) = Bench::new() else { return };
    let (mut volume, key) = bench.format(Cipher::AesXtsHmacSha256);
    // Ours for cryptsetup, a chosen passphrase at a number of its own.
    let added = volume.add_keyslot(Some(7), &key, &passphrase(SECOND), CHOSEN);
    assert_eq!(added.unwrap(), 7);
    assert!(bench.opens("second"));
    let dump = bench.succeeds(&["luksDump"]);
    assert!(
        dump.contains("7: luks2") && dump.contains("argon2id"),
        "{dump}"
    );
    bench.succeeds(&["luksRemoveKey", "--key-file", "second"]);
    assert!(!bench.opens("second"));
    assert_eq!(unlocked(&bench.image, SECOND), None);
}

#[test]
fn what_cryptsetup_changes_we_read() {
    let Some(bench) = Bench::new() else { return };
    let (_, key) = bench.format(Cipher::AesGcm);
    for (kdf, options) in [
        ("pbkdf2", &["--pbkdf-force-iterations", "2000"][..]),
        (
            "argon2id",
            &[
                "--pbkdf-force-iterations",
                "4",
                "--pbkdf-memory",
                "64",
                "--pbkdf-parallel",
                "2",
            ],
        ),
        (
            "argon2i",
            &[
                "--pbkdf-force-iterations",
                "5",
                "--pbkdf-memory",
                "100",
                "--pbkdf-parallel",
                "1",
            ],
        ),
    ] {
        let mut arguments = vec![
            "luksAddKey",
            "--key-file",
            "first",
            "--new-keyfile",
            "second",
            "--pbkdf",
            kdf,
        ];
        arguments.extend(options);
        bench.succeeds(&arguments);
        let (keyslot, found) = unlocked(&bench.image, SECOND).unwrap();
        assert_eq!((keyslot, found.as_slice()), (1, key.expose()), "{kdf}");
        bench.succeeds(&["luksRemoveKey", "--key-file", "second"]);
        assert_eq!(unlocked(&bench.image, SECOND), None);
        assert_eq!(unlocked(&bench.image, FIRST).unwrap().0, 0);
    }
}

#[test]
fn what_we_remove_is_gone_for_cryptsetup_and_from_the_disk() {
    let Some(bench) = Bench::new() else { return };
    let (mut volume, key) = bench.format(Cipher::ChaCha20Poly1305);
    let added = volume.add_keyslot(None, &key, &passphrase(SECOND), Effort::HighEntropy);
    assert_eq!(added.unwrap(), 1);
    assert!(bench.opens("second"));
    let area = volume.header().keyslot(1).unwrap().area();
    let place = area.offset() as usize..(area.offset() + area.size()) as usize;
    let before = fs::read(&bench.image).unwrap()[place.clone()].to_vec();
    volume.remove_keyslot(1).unwrap();
    assert!(!bench.opens("second") && bench.opens("first"));
    let after = fs::read(&bench.image).unwrap()[place].to_vec();
    let kept = before.chunks(512).zip(after.chunks(512));
    assert!(kept.into_iter().all(|(before, after)| before != after));
    // The last one stays, or nobody could open the volume again.
    assert!(matches!(
        volume.remove_keyslot(0),
        Err(LuksError::Header { .. })
    ));
    assert!(bench.opens("first"));
}

#[test]
fn tokens_go_both_ways() {
    let Some(bench) = Bench::new() else { return };
    let (mut volume, _) = bench.format(Cipher::Aegis128);
    let members = [("blob".to_owned(), "AAEC".into())].into_iter().collect();
    let token = Token::new("bastide-test", &[0], members).unwrap();
    assert_eq!(volume.set_token(token).unwrap(), 0);
    let exported = bench.succeeds(&["token", "export", "--token-id", "0"]);
    for part in ["bastide-test", "\"keyslots\":[\"0\"]", "\"blob\":\"AAEC\""] {
        assert!(exported.contains(part), "{exported}");
    }
    fs::write(
        bench.key_file("token.json"),
        r#"{"type":"other","keyslots":["0"],"deep":{"a":[1,true,null]}}"#,
    )
    .unwrap();
    bench.succeeds(&["token", "import", "--json-file", "token.json"]);
    let mut volume = Volume::open(&bench.image).unwrap().volume;
    let (number, token) = volume.header().token("other").unwrap();
    assert_eq!(number, 1);
    assert_eq!(token.members()["deep"]["a"][0], 1);
    volume.remove_token(0).unwrap();
    let dump = bench.succeeds(&["luksDump"]);
    assert!(
        dump.contains("1: other") && !dump.contains("bastide-test"),
        "{dump}"
    );
}

#[test]
fn cryptsetups_own_volumes_are_read_but_not_taken_for_ours() {
    let Some(bench) = Bench::new() else { return };
    bench.succeeds(&[
        "luksFormat",
        "--type",
        "luks2",
        "--key-file",
        "first",
        "--pbkdf",
        "argon2id",
        "--pbkdf-force-iterations",
        "4",
        "--pbkdf-memory",
        "64",
        "--pbkdf-parallel",
        "1",
        "--sector-size",
        "4096",
        "--label",
        "theirs",
        "--subsystem",
        "test",
    ]);
    let (keyslot, _) = unlocked(&bench.image, FIRST).unwrap();
    assert_eq!(keyslot, 0);
    assert_eq!(unlocked(&bench.image, SECOND), None);
    let volume = Volume::open(&bench.image).unwrap().volume;
    assert_eq!(volume.header().label(), "theirs");
    // Not authenticated: there is no cipher of ours for that.
    assert!(volume.header().segment().unwrap().cipher().is_err());
}

#[test]
fn after_any_power_cut_one_copy_counts_and_cryptsetup_agrees() {
    const COPIES: usize = 2 * 0x4000;
    let Some(bench) = Bench::new() else { return };
    let (mut volume, key) = bench.format(Cipher::AesXtsHmacSha256);
    let before = fs::read(&bench.image).unwrap()[..COPIES].to_vec();
    let old = volume.header().clone();
    let added = volume.add_keyslot(None, &key, &passphrase(SECOND), Effort::HighEntropy);
    assert_eq!(added.unwrap(), 1);
    let after = fs::read(&bench.image).unwrap()[..COPIES].to_vec();
    let new = volume.header().clone();

    let image = File::options().write(true).open(&bench.image).unwrap();
    let check = |bytes: &[u8], expected_old: bool| {
        std::os::unix::fs::FileExt::write_all_at(&image, bytes, 0).unwrap();
        let opened = Volume::open(&bench.image).unwrap();
        let expected = if expected_old { &old } else { &new };
        assert_eq!(opened.volume.header().sequence(), expected.sequence());
        let keyslots = opened.volume.header().keyslots().count();
        assert_eq!(keyslots, if expected_old { 1 } else { 2 });
        let whole = bytes == before || bytes == after;
        assert_eq!(opened.repaired, !whole);
        assert!(!Volume::open(&bench.image).unwrap().repaired);
    };
    for cut in (0..=COPIES).step_by(512) {
        // The disk may write the sectors of one copy in any order: forwards...
        let forwards = [&after[..cut], &before[cut..]].concat();
        let first = forwards[..0x4000] == after[..0x4000];
        check(&forwards, !first);
        // ... and backwards.
        let mut backwards = before.clone();
        let (start, end) = if cut <= 0x4000 {
            (0x4000 - cut, 0x4000)
        } else {
            backwards[..0x4000].copy_from_slice(&after[..0x4000]);
            (COPIES - (cut - 0x4000), COPIES)
        };
        backwards[start..end].copy_from_slice(&after[start..end]);
        let first = backwards[..0x4000] == after[..0x4000];
        check(&backwards, !first);
    }
    assert!(bench.opens("first") && bench.opens("second"));
}
