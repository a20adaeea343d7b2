//! The directories of services in memory: `/run/<service>`.
//!
//! PID 1 makes one before the first start of its service and keeps it while the machine
//! runs: a service that is started again finds what it left. What the initramfs has left
//! for a service, which then owns the directory already, stays where it is.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bastide_config::service::Service;
use bastide_mount::mount_memory;
use rustix::fs::{Mode, OFlags, fchmod, fstat, open};

/// The most that one holds, in KiB. One that the initramfs made is part of /run and
/// shares its bound; what its service writes there counts as its memory all the same.
const SIZE_KIB: u32 = 4 * 1024;

/// Makes the directory of a service that has one, unless it is there.
///
/// # Errors
/// When it cannot be made, or something there is not the service's own.
pub fn prepare(service: &Service) -> Result<()> {
    let Some(path) = service.runtime_directory() else {
        return Ok(());
    };
    let uid = service.user.uid();
    make(&path, uid)
        .and_then(|()| own(&path, uid))
        .with_context(|| format!("cannot prepare {}", path.display()))
}

fn make(path: &Path, uid: u32) -> Result<()> {
    match fs::create_dir(path) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let mounted = mount_memory(path, uid, SIZE_KIB);
    if mounted.is_err() {
        // An empty directory of root's would be in the way of the next try.
        fs::remove_dir(path)?;
    }
    Ok(mounted?)
}

/// Makes sure that what is there is a directory of the user's, and nobody else's.
fn own(path: &Path, uid: u32) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = File::from(open(path, flags, Mode::empty())?);
    ensure!(
        fstat(&directory)?.st_uid == uid,
        "it is there and belongs to somebody else"
    );
    Ok(fchmod(&directory, Mode::RWXU)?)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn what_is_there_is_kept_if_it_is_the_users_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        fs::create_dir(&path).expect("made");
        fs::write(path.join("seal"), "left").expect("written");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("set");
        let uid = rustix::process::getuid().as_raw();
        make(&path, uid).expect("kept");
        own(&path, uid).expect("the user's own");
        assert_eq!(fs::read(path.join("seal")).expect("there"), b"left");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o7777, 0o700);
        let error = own(&path, uid + 1).expect_err("somebody else's");
        assert!(error.to_string().contains("somebody else"), "{error:#}");
    }

    #[test]
    fn neither_a_link_nor_a_file_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let uid = rustix::process::getuid().as_raw();
        let link = folder.path().join("link");
        symlink(folder.path(), &link).expect("linked");
        let file = folder.path().join("file");
        File::create(&file).expect("made");
        for path in [link, file] {
            make(&path, uid).expect("something is there");
            own(&path, uid).expect_err("no directory");
        }
    }
}
