//! Files kept by their SHA-256: `assets/<sha256>/<file name>` in the cache.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use bastide_recipe::files::Scratch;
use bastide_recipe::progress::Progress;
use bastide_recipe::{interrupt, sha256_of_file};

use crate::Error;
use crate::definition::{Archive, Debian};
use crate::lock::Package;
use crate::mirror::Mirror;

/// How many files are fetched at once.
const PARALLEL: usize = 4;

/// Files known by their hash.
pub(crate) struct Store {
    cache: PathBuf,
}

impl Store {
    pub(crate) fn new(cache: &Path) -> Self {
        Self {
            cache: cache.to_owned(),
        }
    }

    /// Where a package's file is kept, whether it is there or not.
    pub(crate) fn path(&self, sha256: &str, file_name: &str) -> PathBuf {
        self.cache.join("assets").join(sha256).join(file_name)
    }

    pub(crate) fn path_of(&self, package: &Package) -> PathBuf {
        self.path(&package.sha256, package.file_name())
    }

    /// Whether a package is there. What is in the store was checked on its way in.
    pub(crate) fn has(&self, package: &Package) -> bool {
        fs::metadata(self.path_of(package)).is_ok_and(|file| file.len() == package.size)
    }

    /// Takes a file in, by renaming it, if it has the hash.
    pub(crate) fn accept(&self, file: &Path, sha256: &str, name: &str) -> Result<(), Error> {
        let metadata = fs::symlink_metadata(file).map_err(Error::file("read", file))?;
        if !metadata.is_file() {
            return Err(Error::NoFile {
                path: file.to_owned(),
            });
        }
        let found = sha256_of_file(file)?;
        if found != sha256 {
            return Err(Error::Hash {
                path: file.to_owned(),
                expected: sha256.to_owned(),
                found,
            });
        }
        let kept = self.path(sha256, name);
        if let Some(parent) = kept.parent() {
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        // Making an SDK reads it as another user.
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(file, mode).map_err(Error::file("set the mode of", file))?;
        fs::rename(file, &kept).map_err(Error::file("keep", &kept))
    }

    /// Fetches packages; gives those that the mirror does not have.
    pub(crate) fn fetch<'lock>(
        &self,
        packages: &[&'lock Package],
        debian: &Debian,
        mirror: &Mirror,
    ) -> Result<Vec<&'lock Package>, Error> {
        let wanted = packages
            .iter()
            .copied()
            .filter(|package| !self.has(package))
            .collect::<Vec<_>>();
        if wanted.is_empty() {
            return Ok(wanted);
        }
        let guard = interrupt::guard();
        let scratch = Scratch::new(&self.cache.join("tmp"), "fetch")?;
        let total = wanted.iter().map(|package| package.size).sum::<u64>();
        let progress = Progress::new();
        let title = format!("fetch {} packages", wanted.len());
        let task = progress.start(&title, None);
        let mut said = String::new();
        let mut helpers = Vec::new();
        for (number, part) in shares(&wanted).into_iter().enumerate() {
            let log = scratch.path().join(format!("log-{number}"));
            helpers.push((start(&part, debian, mirror, scratch.path(), &log)?, log));
        }
        while helpers
            .iter_mut()
            .any(|(helper, _)| matches!(helper.try_wait(), Ok(None)))
        {
            if guard.interrupted() {
                for (helper, _) in &mut helpers {
                    helper
                        .kill()
                        .and_then(|()| helper.wait())
                        .map_err(Error::file("stop fetching into", scratch.path()))?;
                }
                return Err(bastide_recipe::Error::Interrupted.into());
            }
            let done = wanted
                .iter()
                .filter_map(|package| {
                    let file = scratch.path().join(package.file_name());
                    Some(fs::metadata(file).ok()?.len())
                })
                .sum();
            task.position(done, total);
            task.tick();
            std::thread::sleep(Duration::from_millis(200));
        }
        for (_, log) in &helpers {
            said.push_str(&fs::read_to_string(log).unwrap_or_default());
        }
        let mut missing = Vec::new();
        for package in wanted {
            let file = scratch.path().join(package.file_name());
            if file.exists() {
                self.accept(&file, &package.sha256, package.file_name())?;
            } else {
                missing.push(package);
            }
        }
        task.finish(if missing.is_empty() {
            "done"
        } else {
            "incomplete"
        });
        if said.contains("Hash Sum mismatch") {
            return Err(Error::Corrupt {
                packages: missing.iter().map(|package| package.title()).collect(),
            });
        }
        let absent = |package: &&Package| {
            // Where apt says nothing of a missing file it could not ask.
            const ABSENT: [&str; 3] = [" 404 ", "File not found", "No such file"];
            said.lines().any(|line| {
                line.contains(package.path.as_str())
                    && ABSENT.iter().any(|text| line.contains(text))
            })
        };
        if missing.iter().all(absent) {
            Ok(missing)
        } else {
            let errors = said
                .lines()
                .filter(|line| line.starts_with("E:") || line.starts_with("Err"))
                .take(5)
                .collect::<Vec<_>>();
            Err(Error::Unreachable {
                packages: missing.iter().map(|package| package.title()).collect(),
                output: errors.join("\n"),
            })
        }
    }
}

/// Shares of about the same size in bytes.
fn shares<'lock>(packages: &[&'lock Package]) -> Vec<Vec<&'lock Package>> {
    let mut sorted = packages.to_vec();
    sorted.sort_by_key(|package| std::cmp::Reverse(package.size));
    let mut shares = vec![(0, Vec::new()); PARALLEL.min(sorted.len())];
    for package in sorted {
        if let Some(smallest) = shares.iter_mut().min_by_key(|(size, _)| *size) {
            smallest.0 += package.size;
            smallest.1.push(package);
        }
    }
    shares.into_iter().map(|(_, share)| share).collect()
}

/// Apt makes a link for `file:`, but the mirror may not be there for ever.
fn url(mirror: &str, path: &str) -> String {
    match mirror.strip_prefix("file:") {
        Some(directory) => format!("copy:{directory}/{path}"),
        None => format!("{mirror}/{path}"),
    }
}

/// Lets apt's own helper fetch: it knows this machine's proxies and methods.
fn start(
    packages: &[&Package],
    debian: &Debian,
    mirror: &Mirror,
    directory: &Path,
    log: &Path,
) -> Result<std::process::Child, Error> {
    let output = fs::File::create(log).map_err(Error::file("create", log))?;
    let errors = output.try_clone().map_err(Error::file("create", log))?;
    let mut command = Command::new("/usr/lib/apt/apt-helper");
    command
        .args(["-o", "APT::Sandbox::User=", "-o", "Acquire::Retries=3"])
        .arg("download-file")
        .env("LC_ALL", "C.UTF-8")
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors);
    for package in packages {
        let archive = debian
            .suites
            .iter()
            .find(|suite| suite.name == package.suite)
            .map_or(Archive::Main, |suite| suite.archive);
        command
            .arg(url(mirror.url(archive), &package.path))
            .arg(directory.join(package.file_name()))
            .arg(format!("SHA256:{}", package.sha256));
    }
    command.spawn().map_err(|source| Error::Program {
        program: "/usr/lib/apt/apt-helper",
        package: "apt",
        source,
    })
}
