//! The build's template, judged by e2fsprogs on every way that it takes: written with
//! an identity, grown by resize2fs and, where this machine can, by its kernel.
#![forbid(unsafe_code)]

use std::{
    fs::{self, File},
    io::ErrorKind,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use bastide_ext4::{GrowError, Identity, Template, TemplateError, grow};
use tempfile::TempDir;
use uuid::Uuid;

const STEP: &str = include_str!("../../../toolkit/image/steps/state-template.sh");
const GIBIBYTE: u64 = 1 << 30;

struct Bench {
    folder: TempDir,
    template: &'static [u8],
}

impl Bench {
    /// Runs the build's step. None where there is no e2fsprogs, unless it is required.
    fn new() -> Option<Self> {
        let found = |program| {
            Command::new(program)
                .arg("-V")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .is_ok()
        };
        if !["mke2fs", "e2fsck", "dumpe2fs", "resize2fs"]
            .iter()
            .all(found)
        {
            let required = std::env::var_os("BASTIDE_TEST_TOOLS").is_some();
            assert!(!required, "there is no e2fsprogs");
            eprintln!("skipped: there is no e2fsprogs");
            return None;
        }
        static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
        Some(Self {
            folder: tempfile::tempdir().unwrap(),
            template: TEMPLATE.get_or_init(run_step),
        })
    }

    fn device(&self, size: u64) -> PathBuf {
        let path = self.folder.path().join("device");
        File::create(&path).unwrap().set_len(size).unwrap();
        path
    }
}

/// The template as the build makes it.
fn run_step() -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let out = format!("{}/", folder.path().display());
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c", &STEP.replace("/out/", &out)])
        .env("SOURCE_DATE_EPOCH", "1700000000")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    fs::read(folder.path().join("state.template")).unwrap()
}

fn identity() -> Identity {
    Identity {
        uuid: Uuid::from_bytes(*b"0123456789abcdef"),
        hash_seed: *b"fedcba9876543210",
        label: "bastide-state".to_owned(),
        reserved_group: 4321,
    }
}

fn run(program: &str, arguments: &[&str], path: &Path) -> String {
    let output = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program}: {text}{errors}");
    text
}

fn block_count(path: &Path) -> u64 {
    let dump = run("dumpe2fs", &["-h"], path);
    let line = dump.lines().find(|line| line.starts_with("Block count:"));
    line.unwrap()
        .split_whitespace()
        .next_back()
        .unwrap()
        .parse()
        .unwrap()
}

#[test]
fn the_template_becomes_a_file_system_with_an_identity_of_its_own() {
    let Some(bench) = Bench::new() else { return };
    let template = Template::parse(bench.template).unwrap();
    let device = bench.device(GIBIBYTE);
    template.write(&device, &identity()).unwrap();
    run("e2fsck", &["-fn"], &device);
    let dump = run("dumpe2fs", &["-h"], &device);
    for (key, value) in [
        ("Filesystem volume name", "bastide-state"),
        ("Filesystem UUID", "30313233-3435-3637-3839-616263646566"),
        (
            "Directory Hash Seed",
            "66656463-6261-3938-3736-353433323130",
        ),
        ("Reserved blocks gid", "4321 "),
        ("Journal size", "16M"),
    ] {
        let line = dump
            .lines()
            .find(|line| {
                line.starts_with(key) || line.starts_with(&format!("Total {}", key.to_lowercase()))
            })
            .unwrap();
        assert!(line.contains(value), "{line}");
    }

    // The superblock went last: without it, there is no file system.
    let small = bench.device(template.size() - 4096);
    assert!(matches!(
        template.write(&small, &identity()),
        Err(TemplateError::Small { .. })
    ));
    let long = Identity {
        label: "seventeen letters".to_owned(),
        ..identity()
    };
    let device = bench.device(template.size());
    assert!(template.write(&device, &long).is_err());
    assert!(
        fs::read(&device).unwrap()[..4096]
            .iter()
            .all(|byte| *byte == 0)
    );
}

#[test]
fn resize2fs_grows_it() {
    let Some(bench) = Bench::new() else { return };
    let device = bench.device(3 * GIBIBYTE);
    let template = Template::parse(bench.template).unwrap();
    template.write(&device, &identity()).unwrap();
    run("e2fsck", &["-fp"], &device);
    run("resize2fs", &[], &device);
    run("e2fsck", &["-fn"], &device);
    assert_eq!(block_count(&device), 3 * GIBIBYTE / 4096);
}

#[test]
fn the_kernel_grows_it() {
    let Some(bench) = Bench::new() else { return };
    let device = bench.device(3 * GIBIBYTE);
    let template = Template::parse(bench.template).unwrap();
    template.write(&device, &identity()).unwrap();
    // Many kernels have ext4 without quotas and then refuse to write.
    run("tune2fs", &["-O", "^quota,^project"], &device);
    let mount = bench.folder.path().join("mount");
    fs::create_dir(&mount).unwrap();
    let mounted = Command::new("mount")
        .args(["-o", "loop,nosuid,nodev,noexec"])
        .args([&device, &mount])
        .stderr(Stdio::null())
        .status();
    if !mounted.is_ok_and(|status| status.success()) {
        eprintln!("skipped: ext4 images cannot be mounted here");
        return;
    }
    let first = grow(&mount, &device);
    let again = grow(&mount, &device);
    run("umount", &[], &mount);
    if let Err(GrowError::Grow { source, .. }) = &first
        && source.kind() == ErrorKind::PermissionDenied
    {
        eprintln!("skipped: this needs CAP_SYS_RESOURCE");
        return;
    }
    first.unwrap();
    again.unwrap();
    run("e2fsck", &["-fn"], &device);
    assert_eq!(block_count(&device), 3 * GIBIBYTE / 4096);
}

#[test]
fn damaged_superblocks_are_not_patched() {
    let Some(bench) = Bench::new() else { return };
    let device = bench.device(GIBIBYTE);
    for position in [0, 0x38, 0x18, 0x60, 0x68, 0x175, 0x3fc] {
        let mut bytes = bench.template.to_vec();
        bytes[32 + 8 + 1024 + position] ^= 1;
        let template = Template::parse(&bytes).unwrap();
        assert!(matches!(
            template.write(&device, &identity()),
            Err(TemplateError::Superblock(_))
        ));
    }
}
