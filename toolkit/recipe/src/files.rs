//! Copying, sealing and removing trees of files.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, CWD, FlockOperation, Timespec, Timestamps};

use crate::{Error, interrupt};

/// Replaces a file as a whole, so that a reader never sees half of it.
///
/// # Errors
/// When the directory is not writable or full.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), Error> {
    let write = || -> io::Result<()> {
        let directory = path.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(directory)?;
        let mut file = tempfile::NamedTempFile::new_in(directory)?;
        file.write_all(content)?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(Error::file("write", path))
}

/// Copies an input with modes that depend on the executable bit alone and with
/// modification times moved by `shift` (a build must not depend on either).
pub(crate) fn copy_tree(source: &Path, target: &Path, shift: Duration) -> Result<(), Error> {
    let metadata = fs::metadata(source).map_err(Error::file("read", source))?;
    copy_one(source, &metadata, target, shift)
}

fn copy_one(
    source: &Path,
    metadata: &fs::Metadata,
    target: &Path,
    shift: Duration,
) -> Result<(), Error> {
    let write = || Error::file("write", target);
    if metadata.is_symlink() {
        let link = fs::read_link(source).map_err(Error::file("read", source))?;
        return symlink(link, target).map_err(write());
    }
    if metadata.is_dir() {
        fs::create_dir(target).map_err(write())?;
        for entry in fs::read_dir(source).map_err(Error::file("list", source))? {
            let entry = entry.map_err(Error::file("list", source))?;
            let metadata = entry
                .metadata()
                .map_err(Error::file("read", &entry.path()))?;
            let target = target.join(entry.file_name());
            copy_one(&entry.path(), &metadata, &target, shift)?;
        }
    } else if metadata.is_file() {
        fs::copy(source, target).map_err(Error::file("copy", source))?;
    } else {
        return Err(Error::Special {
            path: source.to_owned(),
        });
    }
    let executable = metadata.is_dir() || metadata.mode() & 0o111 != 0;
    let mode = if executable { 0o755 } else { 0o644 };
    fs::set_permissions(target, fs::Permissions::from_mode(mode)).map_err(write())?;
    let modified = metadata.modified().map_err(Error::file("read", source))?;
    set_modified(target, modified - shift)
}

/// Takes the right to write from everything below `path`, and gives all of it one
/// modification time.
pub(crate) fn seal(path: &Path, modified: SystemTime) -> Result<(), Error> {
    let metadata = fs::symlink_metadata(path).map_err(Error::file("read", path))?;
    if metadata.is_dir() {
        // A script may leave directories that even their owner cannot enter.
        set_mode(path, metadata.mode() | 0o700)?;
        for entry in fs::read_dir(path).map_err(Error::file("list", path))? {
            seal(&entry.map_err(Error::file("list", path))?.path(), modified)?;
        }
    }
    if !metadata.is_symlink() {
        let readable = if metadata.is_dir() { 0o500 } else { 0o400 };
        set_mode(path, metadata.mode() & !0o222 | readable)?;
    }
    set_modified(path, modified)
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, fs::Permissions::from_mode(mode & 0o7777))
        .map_err(Error::file("set the mode of", path))
}

fn set_modified(path: &Path, time: SystemTime) -> Result<(), Error> {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let time = Timespec {
        tv_sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(since.subsec_nanos()),
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW)
        .map_err(|error| Error::file("set the time of", path)(error.into()))
}

/// Removes a tree even where it holds directories without the right to write.
///
/// # Errors
/// When something of it belongs to somebody else.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Ok(()) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
        Err(error) => return Err(Error::file("remove", path)(error)),
    }
    open_directories(path)?;
    fs::remove_dir_all(path).map_err(Error::file("remove", path))
}

fn open_directories(path: &Path) -> Result<(), Error> {
    set_mode(path, 0o700)?;
    for entry in fs::read_dir(path).map_err(Error::file("list", path))? {
        let entry = entry.map_err(Error::file("list", path))?;
        if entry
            .file_type()
            .map_err(Error::file("read", path))?
            .is_dir()
        {
            open_directories(&entry.path())?;
        }
    }
    Ok(())
}

/// An exclusive lock on a file, held until dropped.
pub struct Lock {
    _file: fs::File,
}

impl Lock {
    /// Waits for the lock, telling `waiting` once if somebody else holds it.
    ///
    /// # Errors
    /// When the file cannot be made, or the wait is interrupted.
    pub fn acquire(path: &Path, waiting: impl FnOnce()) -> Result<Self, Error> {
        let mut waiting = Some(waiting);
        let guard = interrupt::guard();
        loop {
            if let Some(lock) = Self::attempt(path)? {
                return Ok(lock);
            }
            if let Some(tell) = waiting.take() {
                tell();
            }
            if guard.interrupted() {
                return Err(Error::Interrupted);
            }
            std::thread::sleep(Duration::from_millis(200));
        }
    }

    /// The lock, unless somebody else holds it.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn attempt(path: &Path) -> Result<Option<Self>, Error> {
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        }
        let file = fs::File::create(path).map_err(Error::file("lock", path))?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(Error::file("lock", path)(error.into())),
        }
    }
}

/// A directory below the cache's `tmp/`, removed when dropped; one that a killed
/// build left is removed by the next.
pub struct Scratch {
    path: PathBuf,
    _lock: Lock,
}

impl Scratch {
    /// A new directory in `parent`, whose name begins with `name`.
    ///
    /// # Errors
    /// When `parent` is not writable.
    pub fn new(parent: &Path, name: &str) -> Result<Self, Error> {
        fs::create_dir_all(parent).map_err(Error::file("create", parent))?;
        // Between making a directory and locking it, sweeping must wait.
        let _sweeping = Lock::acquire(&parent.join(".sweep"), || {})?;
        sweep(parent)?;
        let path = tempfile::Builder::new()
            .prefix(&format!("{name}-"))
            .tempdir_in(parent)
            .map_err(Error::file("create a directory in", parent))?
            .keep();
        let lock = Lock::acquire(&path.join(".lock"), || {})?;
        Ok(Self { path, _lock: lock })
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            tracing::warn!("{error}");
        }
    }
}

fn sweep(parent: &Path) -> Result<(), Error> {
    for entry in fs::read_dir(parent).map_err(Error::file("list", parent))? {
        let path = entry.map_err(Error::file("list", parent))?.path();
        if path.is_dir()
            && let Ok(Some(_lock)) = Lock::attempt(&path.join(".lock"))
            && let Err(error) = remove_tree(&path)
        {
            tracing::warn!("{error}");
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_tree_is_read_only_and_can_still_be_removed() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("root");
        fs::create_dir_all(root.join("sub")).unwrap();
        fs::write(root.join("sub/file"), "x").unwrap();
        seal(&root, UNIX_EPOCH + Duration::from_secs(1_000_000)).unwrap();
        let file = fs::metadata(root.join("sub/file")).unwrap();
        assert_eq!(file.mode() & 0o222, 0);
        assert_eq!(file.mtime(), 1_000_000);
        assert_eq!(fs::metadata(root.join("sub")).unwrap().mtime(), 1_000_000);
        remove_tree(&root).unwrap();
        assert!(!root.exists());
    }

    #[test]
    fn what_a_killed_build_left_is_swept() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("left-over")).unwrap();
        let held = Scratch::new(directory.path(), "held").unwrap();
        let other = Scratch::new(directory.path(), "other").unwrap();
        assert!(!directory.path().join("left-over").exists());
        assert!(held.path().exists());
        let path = other.path().to_owned();
        drop(other);
        assert!(!path.exists());
    }

    #[test]
    fn copies_have_modes_of_their_own() {
        let directory = tempfile::tempdir().unwrap();
        let source = directory.path().join("source");
        fs::create_dir(&source).unwrap();
        fs::write(source.join("secret"), "x").unwrap();
        fs::set_permissions(source.join("secret"), fs::Permissions::from_mode(0o600)).unwrap();
        let target = directory.path().join("target");
        copy_tree(&source, &target, Duration::ZERO).unwrap();
        let mode = fs::metadata(target.join("secret")).unwrap().mode();
        assert_eq!(mode & 0o777, 0o644);
    }
}
