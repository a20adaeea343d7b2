//! What the running system is given of the machine secret: the log's keys of this boot,
//! and nothing else. And what it left for the next.

use std::{
    fs::{self, File},
    io::Write,
    os::fd::AsFd,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result};
use bastide_config::users::User;
use bastide_log_format::{
    certificate::{Certificate, Claim},
    key::{MachineKeys, Seed},
    name::{BOOTS, boot_file},
    seal_file::{NAME, SealFile},
};
use bastide_tpm_policy::MachineSecret;
use rustix::{
    fs::{AtFlags, Gid, Mode, OFlags, Uid, fchown, fsync, mkdir, mkdirat, open, openat, unlinkat},
    io::Errno,
};
use zeroize::Zeroizing;

/// The log's runtime directory, and its place on the state.
const LOG_RUNTIME: &str = "/run/log";
const LOG_STATE: &str = "lib/log";

/// How directories and new files are opened: no link is followed.
const DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);
const NEW: OFlags = OFlags::WRONLY
    .union(OFlags::CREATE)
    .union(OFlags::EXCL)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

/// The log's keys of one boot.
#[derive(Debug)]
pub struct LogKeys {
    keys: MachineKeys,
    seed: Seed,
    boot: u64,
    certificate: Certificate,
}

impl LogKeys {
    /// The keys of boot number `boot`.
    pub fn new(secret: &MachineSecret, boot: u64) -> Self {
        let keys = MachineKeys::new(secret.expose());
        let seed = keys.boot(boot);
        let claim = Claim {
            boot,
            first: 0,
            key: seed.public(),
        };
        Self {
            boot,
            certificate: Certificate::issue(keys.root(), claim),
            seed,
            keys,
        }
    }

    /// Certifies the boot on the state, before the TPM counts it: a boot that ends before
    /// its log begins is told from one whose log was taken away.
    ///
    /// The directory is the log's own, which may have been taken over: no link in it is
    /// followed.
    ///
    /// # Errors
    /// The state cannot be written, or something else lies where the certificate belongs.
    pub fn certify(&self, state: &Path) -> Result<()> {
        let log = state.join(LOG_STATE);
        own_directory(&log)?;
        let name = boot_file(self.boot);
        let write = || -> Result<()> {
            let log = open(&log, DIRECTORY, Mode::empty())?;
            match mkdirat(&log, BOOTS, Mode::from_raw_mode(0o700)) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let boots = openat(&log, BOOTS, DIRECTORY, Mode::empty())?;
            own(&boots)?;
            // What is there is of a boot that ended before it was counted.
            match unlinkat(&boots, &name, AtFlags::empty()) {
                Ok(()) | Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
            let mode = Mode::from_raw_mode(0o644);
            let mut file = File::from(openat(&boots, &name, NEW, mode)?);
            file.write_all(self.certificate.to_hex().as_bytes())?;
            file.sync_all()?;
            own(&file)?;
            Ok(fsync(&boots)?)
        };
        write().with_context(|| format!("cannot write {BOOTS}/{name} in {}", log.display()))
    }

    /// Leaves the keys in memory, for the log alone.
    ///
    /// # Errors
    /// The files cannot be made.
    pub fn leave(self) -> Result<()> {
        let seal = SealFile {
            boot: self.boot,
            certificate: self.certificate,
            root_public: self.keys.root().public(),
            anchor_auth: Zeroizing::new(*self.keys.anchor_auth()),
            seed: self.seed,
            next: None,
        };
        let directory = Path::new(LOG_RUNTIME);
        own_directory(directory)?;
        let path = directory.join(NAME);
        let write = || -> Result<()> {
            let mut file = File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?;
            file.write_all(&seal.to_json()?)?;
            own(&file)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Makes a directory that is the log's alone, unless it is there. Its parent is no
/// service's.
fn own_directory(path: &Path) -> Result<()> {
    let make = || {
        match mkdir(path, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        own(open(path, DIRECTORY, Mode::empty())?)
    };
    make().with_context(|| format!("cannot make {} and give it to the log", path.display()))
}

fn own(file: impl AsFd) -> Result<()> {
    let log = User::named("log").map_err(anyhow::Error::msg)?.uid();
    Ok(fchown(
        file,
        Some(Uid::from_raw(log)),
        Some(Gid::from_raw(log)),
    )?)
}

/// The number of the newest release that was seen healthy, as PID 1 wrote it down; nothing
/// where none was, or where what lies there is no number.
pub fn healthy_release(state: &Path) -> Option<u64> {
    const LONGEST: usize = 32;
    let path = state.join("lib/bastide/healthy-release");
    let text = fs::metadata(&path)
        .is_ok_and(|file| file.is_file() && file.len() <= LONGEST as u64)
        .then(|| fs::read_to_string(&path).ok())??;
    text.trim().parse().ok()
}
