//! The directories that services keep across boots: `/var/lib/<service>`.
//!
//! Each belongs to its service's user, and nobody else sees it. On the state volume,
//! an ext4 file system, it is a project of its own whose size is limited, so that one
//! service cannot fill up what all live on.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Once;

use anyhow::{Context, Result, ensure};
use bastide_config::service::{Service, State};
use bastide_sys::project_quota;
use rustix::fs::{Gid, Mode, OFlags, Uid, fchmod, fchown, fstat, fstatfs, open};

use crate::kernel_log::say;
use crate::supervisor::Level;

const EXT4_MAGIC: i64 = 0xef53;

/// Bytes of the limit for each file: small files are what fills a file system's
/// tables before its blocks.
const BYTES_PER_FILE: u64 = 16 * 1024;

/// Makes the directory of a service that keeps one, and limits it.
///
/// # Errors
/// When it cannot be made, or not be limited where there are limits.
pub fn prepare(service: &Service) -> Result<()> {
    let (Some(state), Some(path)) = (&service.state, service.state_directory()) else {
        return Ok(());
    };
    directory(&path, service.user.uid(), state)
        .with_context(|| format!("cannot prepare {}", path.display()))
}

fn directory(path: &Path, uid: u32, state: &State) -> Result<()> {
    static SAID: Once = Once::new();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = File::from(open(path, flags, Mode::empty())?);
    fchown(
        &directory,
        Some(Uid::from_raw(uid)),
        Some(Gid::from_raw(uid)),
    )?;
    fchmod(&directory, Mode::RWXU)?;
    if fstatfs(&directory)?.f_type == EXT4_MAGIC {
        let bytes = u64::from(state.size_mib).saturating_mul(1024 * 1024);
        project_quota::assign(directory.as_fd(), uid).context("cannot make it a project")?;
        project_quota::limit(directory.as_fd(), uid, bytes, bytes / BYTES_PER_FILE)
            .context("cannot limit its size; is the file system mounted with prjquota?")?;
    } else {
        SAID.call_once(|| {
            say(
                Level::Warning,
                "state directories are without limits: /var is not on the state volume",
            );
        });
    }
    let found = fstat(&directory)?;
    ensure!(
        found.st_uid == uid && found.st_mode & 0o7777 == 0o700,
        "it is not the service's own"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use bastide_config::name::Why;

    use super::*;

    #[test]
    fn a_directory_becomes_its_users_own_and_stays_so() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("lib/log");
        let state = State {
            size_mib: 1,
            why: Why::new("keeps lines").expect("a reason"),
        };
        let uid = rustix::process::getuid().as_raw();
        for _ in 0..2 {
            // On ext4 without quotas of projects this is an error, and rightly so.
            if let Err(error) = directory(&path, uid, &state) {
                assert!(format!("{error:#}").contains("cannot"), "{error:#}");
                return;
            }
            let mode = fs::metadata(&path).expect("there").permissions().mode();
            assert_eq!(mode & 0o7777, 0o700);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("set");
        }
    }

    #[test]
    fn a_link_is_not_followed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        std::os::unix::fs::symlink("/tmp", &path).expect("linked");
        let state = State {
            size_mib: 1,
            why: Why::new("keeps lines").expect("a reason"),
        };
        assert!(directory(&path, 503, &state).is_err());
    }
}
