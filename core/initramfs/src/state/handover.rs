//! What the running system is given of the machine secret: the log's keys of this boot,
//! and nothing else.

use std::{
    fs::{self, DirBuilder, File},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, chown},
    path::Path,
};

use anyhow::{Context, Result};
use bastide_config::users::User;
use bastide_log_format::{
    certificate::{Certificate, Claim},
    key::MachineKeys,
    seal_file::{NAME, SealFile},
};
use bastide_tpm_policy::MachineSecret;
use zeroize::Zeroizing;

/// The log's runtime directory.
const LOG_RUNTIME: &str = "/run/log";

/// Leaves the log its keys of boot number `boot`, in memory, for the log alone.
///
/// # Errors
/// The files cannot be made.
pub fn log_keys(secret: &MachineSecret, boot: u64) -> Result<()> {
    let keys = MachineKeys::new(secret.expose());
    let seed = keys.boot(boot);
    let claim = Claim {
        boot,
        first: 0,
        key: seed.public(),
    };
    let seal = SealFile {
        boot,
        certificate: Certificate::issue(keys.root(), claim),
        root_public: keys.root().public(),
        anchor_auth: Zeroizing::new(*keys.anchor_auth()),
        seed,
        next: None,
    };
    let log = User::named("log").map_err(anyhow::Error::msg)?.uid();
    let directory = Path::new(LOG_RUNTIME);
    DirBuilder::new()
        .mode(0o700)
        .create(directory)
        .with_context(|| format!("cannot make {}", directory.display()))?;
    let path = directory.join(NAME);
    let write = || -> Result<()> {
        File::options()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?
            .write_all(&seal.to_json()?)?;
        chown(&path, Some(log), Some(log))?;
        chown(directory, Some(log), Some(log))?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
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
