//! What the running system is given of the machine secret: the log's keys of this boot,
//! and nothing else. And what it left for the next.

use std::{
    fs::{self, File},
    io::{self, Write},
    os::fd::AsFd,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use anyhow::{Context, Result, ensure};
use bastide_config::users::User;
use bastide_log_format::{
    certificate::{Certificate, Claim},
    epoch::Epoch,
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
    epoch: Epoch,
    boot: u64,
    certificate: Certificate,
}

impl LogKeys {
    /// The keys of boot number `boot` of a TPM. `epoch` is this TPM's alone, and `first`
    /// the first boot that it counted for this machine.
    pub fn new(secret: &MachineSecret, epoch: [u8; 16], boot: u64, first: u64) -> Self {
        let epoch = Epoch::new(epoch);
        let keys = MachineKeys::new(secret.expose());
        let seed = keys.boot(epoch, boot);
        let claim = Claim {
            epoch,
            boot,
            first,
            key: seed.public(),
        };
        Self {
            epoch,
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
        let name = boot_file(self.epoch, self.boot);
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

/// The number of the newest release that was seen healthy, as PID 1 wrote it down; none
/// where none was.
///
/// # Errors
/// What lies there cannot be read, or is no number.
pub fn healthy_release(state: &Path) -> Result<Option<u64>> {
    const LONGEST: usize = 32;
    let path = state.join("lib/bastide/healthy-release");
    let read = || -> Result<Option<u64>> {
        let about = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            about => about?,
        };
        ensure!(about.is_file(), "it is no file");
        ensure!(about.len() <= LONGEST as u64, "it is too long");
        Ok(Some(fs::read_to_string(&path)?.trim().parse()?))
    };
    read().with_context(|| format!("cannot read the healthy release in {}", path.display()))
}

#[cfg(test)]
mod tests {
    use bastide_tpm_policy::Secret;

    use super::*;

    #[test]
    fn a_certificate_names_the_tpm_and_the_first_boot_that_it_counted() {
        let secret = MachineSecret::new(Secret::new([7; 32]));
        let keys = LogKeys::new(&secret, [3; 16], 9, 4);
        let root = keys.keys.root().public();
        let claim = keys.certificate.verify(&root).unwrap();
        assert_eq!((claim.epoch, claim.boot), (Epoch::new([3; 16]), 9));
        assert_eq!((claim.first, claim.key), (4, keys.seed.public()));
        // The number comes again with another TPM; the key does not.
        let other = LogKeys::new(&secret, [4; 16], 9, 4);
        assert_eq!(other.keys.root().public(), root);
        assert_ne!(other.seed.public(), keys.seed.public());
    }

    #[test]
    fn only_a_number_is_a_healthy_release() {
        let state = tempfile::tempdir().unwrap();
        assert_eq!(healthy_release(state.path()).unwrap(), None);
        let folder = state.path().join("lib/bastide");
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join("healthy-release");
        fs::write(&path, "1002003\n").unwrap();
        assert_eq!(healthy_release(state.path()).unwrap(), Some(1_002_003));
        for bad in ["", "soon", "-1", &"1".repeat(33)] {
            fs::write(&path, bad).unwrap();
            assert!(healthy_release(state.path()).is_err(), "{bad}");
        }
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(healthy_release(state.path()).is_err());
    }
}
