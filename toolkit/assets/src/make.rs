//! Makes root file systems and sets of files from checked packages.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use bastide_recipe::files::{self, Scratch};
use bastide_recipe::progress::Progress;
use bastide_recipe::{execute, interrupt};
use serde::{Deserialize, Serialize};

use crate::definition::Debian;
use crate::lock::Package;
use crate::store::Store;
use crate::{Error, program, repository};

/// Part of the keys of SDKs: to be changed with how they are made.
pub(crate) const SYSTEM: &str = "bastide sdk 1";

/// Part of the keys of sets of files.
pub(crate) const FILES: &str = "bastide files 1";

/// Documentation in other forms than text, and translations: never read by a step.
const LEFT_OUT: [&str; 6] = [
    "path-exclude=/usr/share/man/*",
    "path-exclude=/usr/share/info/*",
    "path-exclude=/usr/share/locale/*",
    "path-exclude=/usr/share/doc/*",
    "path-include=/usr/share/doc/*/copyright",
    "path-exclude=/usr/share/doc-base/*",
];

/// What mmdebstrap copies from the host, and logs and lists with times in them.
const REMOVED: [&str; 12] = [
    "etc/hostname",
    "etc/resolv.conf",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
    "var/cache/apt",
    "var/cache/debconf",
    "var/cache/ldconfig",
    "var/lib/apt/lists",
    "var/log/apt",
    "var/log/dpkg.log",
    "var/log/alternatives.log",
    "var/log/bootstrap.log",
];

/// The files of one package in an unpacked set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct PackageFiles {
    /// The package.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its architecture.
    pub architecture: String,
    /// The source package and its version.
    pub source: String,
    /// SHA-256 of the package's file.
    pub sha256: String,
    /// Its files and symbolic links (no directories), relative to the root.
    pub files: Vec<String>,
}

/// Makes the SDK `name` at `target` (which must not exist).
pub(crate) fn system(
    name: &str,
    cache: &Path,
    debian: &Debian,
    store: &Store,
    packages: &[&Package],
    target: &Path,
) -> Result<(), Error> {
    let guard = interrupt::guard();
    let made = install(name, cache, debian, store, packages, target);
    if guard.interrupted() {
        // Whatever program the signal ended, and whatever that program said.
        return Err(bastide_recipe::Error::Interrupted.into());
    }
    made
}

fn install(
    name: &str,
    cache: &Path,
    debian: &Debian,
    store: &Store,
    packages: &[&Package],
    target: &Path,
) -> Result<(), Error> {
    let root = is_root();
    if !root {
        check_subordinates()?;
    }
    let scratch = Scratch::new(&cache.join("tmp"), &format!("sdk-{name}"))?;
    // Not in the cache: below a home that only its owner may enter, the subordinate
    // users that mmdebstrap becomes would not reach it.
    let shared = tempfile::Builder::new()
        .prefix("bastide-sdk-")
        .permissions(fs::Permissions::from_mode(0o755))
        .tempdir_in("/var/tmp")
        .map_err(Error::file("create a directory in", Path::new("/var/tmp")))?;
    let repository = shared.path().join("repository");
    repository::create(&repository, debian, store, packages)?;

    let archive = scratch.path().join("root.tar");
    let names = packages
        .iter()
        .map(|package| package.name.as_str())
        .collect::<Vec<_>>();
    let mut command = Command::new("mmdebstrap");
    command
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("LC_ALL", "C.UTF-8")
        .env("TMPDIR", shared.path())
        .env("SOURCE_DATE_EPOCH", "0")
        .arg(if root {
            "--mode=root"
        } else {
            "--mode=unshare"
        })
        .args(["--variant=essential", "--format=tar"])
        .arg(format!("--architectures={}", debian.architecture))
        .arg(format!("--include={}", names.join(",")))
        .arg("--aptopt=APT::Install-Recommends \"false\"")
        // A half-made SDK is thrown away whole: no need to wait for the disk.
        .arg("--dpkgopt=force-unsafe-io")
        .args(LEFT_OUT.map(|option| format!("--dpkgopt={option}")))
        .arg(&debian.release)
        .arg(&archive)
        .arg(format!(
            "deb [trusted=yes] copy:{} {} main",
            repository.display(),
            debian.release
        ));
    let unpacked = packages.iter().map(|package| package.size).sum::<u64>();
    run(&mut command, name, scratch.path(), expected(unpacked))?;

    let made = scratch.path().join("sdk");
    let tree = made.join("root");
    fs::create_dir_all(&tree).map_err(Error::file("create", &tree))?;
    program::output("tar", "tar", |command| {
        command
            .args(["--extract", "--preserve-permissions", "--no-same-owner"])
            .args(["--exclude=./dev/*", "--directory"])
            .arg(&tree)
            .arg("--file")
            .arg(&archive)
    })?;
    for path in REMOVED {
        let path = tree.join(path);
        match fs::symlink_metadata(&path) {
            Ok(metadata) if metadata.is_dir() => files::remove_tree(&path)?,
            Ok(_) => fs::remove_file(&path).map_err(Error::file("remove", &path))?,
            Err(_) => {}
        }
    }
    drop_set_user_id(&tree)?;
    describe(&made, packages)?;
    publish(&made, target)
}

/// Unpacks packages into `target/root` and lists their files.
pub(crate) fn file_set(
    name: &str,
    cache: &Path,
    store: &Store,
    packages: &[&Package],
    target: &Path,
) -> Result<(), Error> {
    let scratch = Scratch::new(&cache.join("tmp"), &format!("files-{name}"))?;
    let made = scratch.path().join("set");
    let tree = made.join("root");
    fs::create_dir_all(&tree).map_err(Error::file("create", &tree))?;
    let mut listed = Vec::new();
    for package in packages {
        let file = store.path_of(package);
        program::output("dpkg-deb", "dpkg", |command| {
            command.arg("--extract").args([&file, &tree])
        })?;
        // `dpkg-deb --contents` cannot be parsed where names have spaces.
        let names = program::output("dpkg-deb", "dpkg", |command| {
            command.arg("--fsys-tarfile").arg(&file)
        })
        .and_then(|archive| names_of(&archive, scratch.path()))?;
        listed.push(PackageFiles {
            name: package.name.clone(),
            version: package.version.clone(),
            architecture: package.architecture.clone(),
            source: package.source.clone(),
            sha256: package.sha256.clone(),
            files: names,
        });
    }
    drop_set_user_id(&tree)?;
    let path = made.join("files.json");
    let text = serde_json::to_vec_pretty(&listed)
        .map_err(std::io::Error::from)
        .map_err(Error::file("write", &path))?;
    fs::write(&path, text).map_err(Error::file("write", &path))?;
    publish(&made, target)
}

fn names_of(archive: &[u8], scratch: &Path) -> Result<Vec<String>, Error> {
    let path = scratch.join("package.tar");
    fs::write(&path, archive).map_err(Error::file("write", &path))?;
    let list = program::output("tar", "tar", |command| {
        command
            .args(["--list", "--quoting-style=literal", "--file"])
            .arg(&path)
    })?;
    Ok(String::from_utf8_lossy(&list)
        .lines()
        .filter(|line| !line.ends_with('/'))
        .map(|line| line.trim_start_matches("./").to_owned())
        .collect())
}

fn run(
    command: &mut Command,
    name: &str,
    scratch: &Path,
    expected: std::time::Duration,
) -> Result<(), Error> {
    let progress = Progress::new();
    let task = progress.start(&format!("sdk {name}"), Some(expected));
    let log = scratch.join("log");
    let ended = match execute::run(command, execute::Stop::Politely, &log, &task) {
        Ok(ended) => ended,
        Err(bastide_recipe::Error::Helper { source, .. }) => {
            return Err(Error::Program {
                program: "mmdebstrap",
                package: "mmdebstrap",
                source,
            });
        }
        Err(error) => {
            task.finish("stopped");
            return Err(error.into());
        }
    };
    if ended.code == 0 {
        task.finish("done");
        Ok(())
    } else {
        task.finish("failed");
        Err(Error::Failed {
            program: "mmdebstrap",
            output: ended.tail.join("\n"),
        })
    }
}

/// About 15 MB of packages a second are unpacked and configured, after a start of some seconds.
fn expected(bytes: u64) -> std::time::Duration {
    std::time::Duration::from_secs(10 + bytes / 15_000_000)
}

fn describe(made: &Path, packages: &[&Package]) -> Result<(), Error> {
    let path = made.join("packages.txt");
    let text = packages
        .iter()
        .map(|package| format!("{} {}\n", package.title(), package.sha256))
        .collect::<String>();
    fs::write(&path, text).map_err(Error::file("write", &path))
}

fn publish(made: &Path, target: &Path) -> Result<(), Error> {
    if let Some(parent) = target.parent() {
        fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
    }
    fs::rename(made, target).map_err(Error::file("move the result to", target))
}

/// The sandbox ignores set-user-id bits; without them nothing else honours them,
/// and directories can be entered by the one user who owns all.
fn drop_set_user_id(path: &Path) -> Result<(), Error> {
    let read = || Error::file("read", path);
    let metadata = fs::symlink_metadata(path).map_err(read())?;
    if metadata.is_symlink() {
        return Ok(());
    }
    let mode = metadata.mode() & 0o7777;
    let mut wanted = mode & !0o6000;
    if metadata.is_dir() {
        wanted |= 0o700;
    }
    if wanted != mode {
        fs::set_permissions(path, fs::Permissions::from_mode(wanted))
            .map_err(Error::file("set the mode of", path))?;
    }
    if metadata.is_dir() {
        for entry in fs::read_dir(path).map_err(read())? {
            drop_set_user_id(&entry.map_err(read())?.path())?;
        }
    }
    Ok(())
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn check_subordinates() -> Result<(), Error> {
    let id = nix::unistd::geteuid();
    let user = nix::unistd::User::from_uid(id)
        .ok()
        .flatten()
        .map_or_else(|| id.to_string(), |user| user.name);
    let listed = |file: &str| {
        fs::read_to_string(file).is_ok_and(|text| {
            text.lines().any(|line| {
                let owner = line.split(':').next().unwrap_or_default();
                owner == user || owner == id.to_string()
            })
        })
    };
    if listed("/etc/subuid") && listed("/etc/subgid") {
        Ok(())
    } else {
        Err(Error::NoSubordinates { user })
    }
}
