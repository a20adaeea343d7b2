//! What the running system is given of the machine secret: the log's keys of this boot,
//! and nothing else. And what it left for the next.

use std::{
    fs::{self, DirBuilder, File},
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, lchown},
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
use zeroize::Zeroizing;

/// The log's runtime directory, and its place on the state.
const LOG_RUNTIME: &str = "/run/log";
const LOG_STATE: &str = "lib/log";

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
    /// # Errors
    /// The state cannot be written.
    pub fn certify(&self, state: &Path) -> Result<()> {
        let log = state.join(LOG_STATE);
        let boots = log.join(BOOTS);
        for directory in [&log, &boots] {
            own_directory(directory)?;
        }
        let path = boots.join(boot_file(self.boot));
        let write = || -> Result<()> {
            let mut file = File::options()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o644)
                .open(&path)?;
            file.write_all(self.certificate.to_hex().as_bytes())?;
            file.sync_all()?;
            File::open(&boots)?.sync_all()?;
            own(&path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
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
            File::options()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&path)?
                .write_all(&seal.to_json()?)?;
            own(&path)
        };
        write().with_context(|| format!("cannot write {}", path.display()))
    }
}

/// Makes a directory that is the log's alone, unless it is there.
fn own_directory(path: &Path) -> Result<()> {
    let made = match DirBuilder::new().mode(0o700).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made,
    };
    made.with_context(|| format!("cannot make {}", path.display()))?;
    own(path).with_context(|| format!("cannot give {} to the log", path.display()))
}

fn own(path: &Path) -> Result<()> {
    let log = User::named("log").map_err(anyhow::Error::msg)?.uid();
    Ok(lchown(path, Some(log), Some(log))?)
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
