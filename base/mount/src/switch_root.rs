//! Leaving the initramfs for good.

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use rustix::{
    fs::statfs,
    mount::mount_move,
    process::{chdir, chroot},
};

use crate::{MountError, move_to};

const RAMFS: i64 = 0x8584_58f6;
const TMPFS: i64 = 0x0102_1994;

/// Moves `mounts` into `new_root`, deletes everything on the present root and makes
/// `new_root` the root of the calling process. Descriptors that are open on the old root keep
/// what they hold; nothing else of it can be reached any more.
///
/// # Errors
/// The present root is not in memory, or one of the steps failed; the caller cannot
/// go on then.
pub fn switch_root(new_root: &Path, mounts: &[&Path]) -> Result<(), MountError> {
    let old = statfs("/").map_err(|error| MountError::Switch {
        path: new_root.to_owned(),
        source: error.into(),
    })?;
    if !is_in_memory(old.f_type) {
        return Err(MountError::NotInMemory);
    }
    for mount in mounts {
        let inside = mount.strip_prefix("/").unwrap_or(mount);
        move_to(mount, &new_root.join(inside))?;
    }
    let device = look(Path::new("/"))?.dev();
    delete_contents(Path::new("/"), device)?;
    let enter = || -> io::Result<()> {
        chdir(new_root)?;
        mount_move(".", "/")?;
        chroot(".")?;
        chdir("/")?;
        Ok(())
    };
    enter().map_err(|source| MountError::Switch {
        path: new_root.to_owned(),
        source,
    })
}

fn is_in_memory(kind: i64) -> bool {
    matches!(kind, RAMFS | TMPFS)
}

/// Deletes below a directory, staying on its file system: mounts, the new root among
/// them, are passed over.
fn delete_contents(directory: &Path, device: u64) -> Result<(), MountError> {
    let failed = |path: &Path| {
        let path: PathBuf = path.to_owned();
        move |source: io::Error| MountError::Delete { path, source }
    };
    for entry in fs::read_dir(directory).map_err(failed(directory))? {
        let path = entry.map_err(failed(directory))?.path();
        let found = look(&path)?;
        if found.dev() != device {
            continue;
        }
        if found.is_dir() {
            delete_contents(&path, device)?;
            fs::remove_dir(&path).map_err(failed(&path))?;
        } else {
            fs::remove_file(&path).map_err(failed(&path))?;
        }
    }
    Ok(())
}

fn look(path: &Path) -> Result<fs::Metadata, MountError> {
    fs::symlink_metadata(path).map_err(|source| MountError::Delete {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_file_systems_in_memory_are_emptied() {
        assert!(is_in_memory(RAMFS) && is_in_memory(TMPFS));
        for kind in [0xef53, 0xe0f5_e1e2, 0x794c_7630, 0x6265_6572] {
            assert!(!is_in_memory(kind));
        }
    }

    #[test]
    fn contents_go_and_the_directory_stays() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        fs::create_dir_all(root.join("a/b")).unwrap();
        fs::write(root.join("a/b/file"), b"x").unwrap();
        std::os::unix::fs::symlink("/etc", root.join("link")).unwrap();
        delete_contents(root, look(root).unwrap().dev()).unwrap();
        assert_eq!(fs::read_dir(root).unwrap().count(), 0);
        assert!(Path::new("/etc").exists());
    }

    #[test]
    fn other_file_systems_are_passed_over() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), b"x").unwrap();
        delete_contents(directory.path(), u64::MAX).unwrap();
        assert!(directory.path().join("file").exists());
    }
}
