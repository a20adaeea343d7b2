//! The root of a sandbox.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use bastide_sys::mount_attributes::{self, Attributes};
use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, ResolveFlags, Uid, chownat, mknodat, open, openat2,
};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{chdir, pivot_root};
use serde::{Deserialize, Serialize};

use crate::SandboxError;

/// Places that others than root write to: no link is followed in them.
const SHARED: [&str; 2] = ["/run", "/var"];

/// Something in the sandbox, at the same path as outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Item {
    /// Programs and libraries, read-only.
    Programs(PathBuf),
    /// A file or directory, read-only; nothing where there is none.
    Readable(PathBuf),
    /// A file or directory that exists, to be changed.
    Writable(PathBuf),
    /// A symbolic link like the one outside; a directory there is as
    /// [`Item::Programs`], and nothing where there is none.
    Link(PathBuf),
    /// A harmless device: the very node from outside.
    UsualDevice(PathBuf),
    /// A device with a node of its own, which belongs to the user.
    Device {
        /// The node.
        path: PathBuf,
        /// May be opened for reading.
        read: bool,
        /// May be opened for writing.
        write: bool,
    },
    /// A directory in memory that belongs to the user and that no one else sees.
    Scratch(Scratch),
    /// /proc: the processes of the namespace, as far as they are the user's, and
    /// nothing else.
    Processes,
}

/// A directory in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scratch {
    /// Where.
    pub path: PathBuf,
    /// The most it holds, in KiB.
    pub size_kib: u32,
}

impl Item {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Programs(path)
            | Self::Readable(path)
            | Self::Writable(path)
            | Self::Link(path)
            | Self::UsualDevice(path)
            | Self::Device { path, .. } => path,
            Self::Scratch(scratch) => &scratch.path,
            Self::Processes => Path::new("/proc"),
        }
    }
}

/// A root under construction. It lies on a directory that nothing in it comes from.
#[derive(Debug)]
#[must_use]
pub struct Root {
    place: PathBuf,
    user: u32,
}

impl Root {
    /// Begins a root on the directory `place`, which is hidden by it, for a user (and
    /// the group of the same number). The calling process must have a mount namespace
    /// of its own.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn begin(place: &Path, user: u32) -> Result<Self, SandboxError> {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).map_err(failed("make private", Path::new("/")))?;
        let root = Self {
            place: place.to_owned(),
            user,
        };
        root.memory("/", MountFlags::NODEV, "mode=0755,size=64k,nr_inodes=1k")?;
        root.memory(
            "/dev",
            MountFlags::empty(),
            "mode=0755,size=64k,nr_inodes=64",
        )?;
        Ok(root)
    }

    /// Puts items in, those nearer to the root first.
    ///
    /// # Errors
    /// The item that cannot be put in.
    pub fn put(&self, items: &[Item]) -> Result<(), SandboxError> {
        let mut items: Vec<&Item> = items.iter().collect();
        items.sort_by_key(|item| item.path().components().count());
        items.into_iter().try_for_each(|item| self.item(item))
    }

    fn item(&self, item: &Item) -> Result<(), SandboxError> {
        let strict = Attributes::NO_SETUID | Attributes::NO_DEVICES;
        let data = strict | Attributes::NO_EXECUTION;
        match item {
            Item::Programs(path) => self.bind(path, strict | Attributes::READ_ONLY),
            Item::Readable(path) => match self.bind(path, data | Attributes::READ_ONLY) {
                Err(SandboxError::Step { source, .. }) if is_absent(&source) => Ok(()),
                result => result,
            },
            Item::Writable(path) => self.bind(path, data),
            Item::Link(path) => self.link(path, strict | Attributes::READ_ONLY),
            Item::UsualDevice(path) => {
                self.bind(path, Attributes::NO_SETUID | Attributes::NO_EXECUTION)
            }
            Item::Device { path, read, write } => self.device(path, *read, *write),
            Item::Scratch(scratch) => {
                let user = self.user;
                let (path, size) = (&scratch.path, scratch.size_kib);
                let options = format!("mode=0700,uid={user},gid={user},size={size}k,nr_inodes=4k");
                self.memory(&path.display().to_string(), MountFlags::NODEV, &options)
            }
            Item::Processes => {
                let target = self.directory(Path::new("/proc"))?;
                let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
                let options = c"subset=pid,hidepid=invisible";
                mount("proc", &target, "proc", flags, options)
                    .map_err(failed("mount", Path::new("/proc")))
            }
        }
    }

    /// Closes the root for changes, makes it the root of the process, and lets go of
    /// the old one.
    ///
    /// # Errors
    /// The step that failed; the process must not go on then.
    pub fn enter(self) -> Result<(), SandboxError> {
        let here = Path::new(".");
        chdir(&self.place).map_err(failed("go to", &self.place))?;
        for inside in ["dev", "."] {
            let directory = open_path(Path::new(inside)).map_err(failed("open", &self.place))?;
            mount_attributes::add(directory.as_fd(), Attributes::READ_ONLY, false)
                .map_err(failed("close for changes", Path::new(inside)))?;
        }
        pivot_root(here, here).map_err(failed("change the root to", &self.place))?;
        unmount(here, UnmountFlags::DETACH).map_err(failed("let go of", Path::new("/")))?;
        chdir("/").map_err(failed("go to", Path::new("/")))
    }

    fn inside(&self, path: &Path) -> PathBuf {
        self.place.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn directory(&self, path: &Path) -> Result<PathBuf, SandboxError> {
        let target = self.inside(path);
        fs::create_dir_all(&target).map_err(failed("make", path))?;
        Ok(target)
    }

    fn parent(&self, path: &Path) -> Result<PathBuf, SandboxError> {
        self.directory(path.parent().unwrap_or(Path::new("/")))?;
        Ok(self.inside(path))
    }

    fn memory(&self, path: &str, flags: MountFlags, options: &str) -> Result<(), SandboxError> {
        let path = Path::new(path);
        let target = self.directory(path)?;
        let flags = flags | MountFlags::NOSUID | MountFlags::NOEXEC;
        let options = std::ffi::CString::new(options).unwrap_or_default();
        mount("tmpfs", &target, "tmpfs", flags, options.as_c_str()).map_err(failed("mount", path))
    }

    fn bind(&self, path: &Path, attributes: Attributes) -> Result<(), SandboxError> {
        let source = open_source(path).map_err(failed("open", path))?;
        let directory = rustix::fs::fstat(&source)
            .map(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory)
            .map_err(failed("look at", path))?;
        self.attach(&source, path, directory, attributes)
    }

    fn attach(
        &self,
        source: &OwnedFd,
        path: &Path,
        directory: bool,
        attributes: Attributes,
    ) -> Result<(), SandboxError> {
        let flags = OpenTreeFlags::OPEN_TREE_CLONE
            | OpenTreeFlags::OPEN_TREE_CLOEXEC
            | OpenTreeFlags::AT_EMPTY_PATH
            | OpenTreeFlags::AT_RECURSIVE;
        let tree = open_tree(source, c"", flags).map_err(failed("take", path))?;
        // Restricted before it is anywhere.
        mount_attributes::add(tree.as_fd(), attributes, true).map_err(failed("restrict", path))?;
        let target = if directory {
            self.directory(path)?
        } else {
            let target = self.parent(path)?;
            if fs::symlink_metadata(&target).is_err() {
                File::create(&target).map_err(failed("make", path))?;
            }
            target
        };
        move_mount(
            tree.as_fd(),
            c"",
            CWD,
            &target,
            MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
        )
        .map_err(failed("put in", path))
    }

    fn link(&self, path: &Path, attributes: Attributes) -> Result<(), SandboxError> {
        match fs::symlink_metadata(path) {
            Ok(found) if found.is_symlink() => {
                let to = fs::read_link(path).map_err(failed("read", path))?;
                let target = self.parent(path)?;
                symlink(to, target).map_err(failed("make", path))
            }
            Ok(_) => self.bind(path, attributes),
            Err(error) if is_absent(&error) => Ok(()),
            Err(error) => Err(failed("look at", path)(error)),
        }
    }

    fn device(&self, path: &Path, read: bool, write: bool) -> Result<(), SandboxError> {
        let found = fs::symlink_metadata(path).map_err(failed("look at", path))?;
        let kind = if found.file_type().is_char_device() {
            FileType::CharacterDevice
        } else if found.file_type().is_block_device() {
            FileType::BlockDevice
        } else {
            let error = io::Error::other("is no device");
            return Err(failed("use", path)(error));
        };
        let bits = if read { 0o400 } else { 0 } | if write { 0o200 } else { 0 };
        let target = self.parent(path)?;
        mknodat(CWD, &target, kind, Mode::from_raw_mode(bits), found.rdev())
            .map_err(failed("make", path))?;
        // The mask for new files may have taken bits away.
        fs::set_permissions(&target, Permissions::from_mode(bits)).map_err(failed("set", path))?;
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.user));
        chownat(
            CWD,
            &target,
            Some(user),
            Some(group),
            AtFlags::SYMLINK_NOFOLLOW,
        )
        .map_err(failed("give away", path))
    }
}

fn failed<Error: Into<io::Error>>(
    step: &'static str,
    path: &Path,
) -> impl FnOnce(Error) -> SandboxError {
    let path = path.to_owned();
    move |error| SandboxError::Step {
        step,
        path,
        source: error.into(),
    }
}

/// Whether something is not there, as opposed to not to be had.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn open_path(path: &Path) -> io::Result<OwnedFd> {
    Ok(open(path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty())?)
}

/// Opens what is to be shown; where others write, whatever lies behind a link is
/// not what was meant.
fn open_source(path: &Path) -> io::Result<OwnedFd> {
    let shared = SHARED.iter().any(|shared| path.starts_with(shared));
    if !shared {
        return open_path(path);
    }
    let flags = OFlags::PATH | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    Ok(openat2(CWD, path, flags, Mode::empty(), resolve)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_not_followed_where_others_write() {
        // /var/run is a link to /run on every machine that tests run on, or absent.
        if fs::symlink_metadata("/var/run").is_ok_and(|found| found.is_symlink()) {
            assert!(open_source(Path::new("/var/run")).is_err());
            assert!(open_source(Path::new("/var/run/x")).is_err());
        }
        assert!(open_source(Path::new("/var")).is_ok());
        assert!(is_absent(
            &open_source(Path::new("/run/no/such")).unwrap_err()
        ));
    }

    #[test]
    fn what_is_no_device_is_not_made_one() {
        let place = tempfile::tempdir().unwrap();
        let root = Root {
            place: place.path().to_owned(),
            user: 503,
        };
        let error = root
            .device(Path::new("/etc/passwd"), true, false)
            .unwrap_err();
        assert!(error.to_string().contains("/etc/passwd"), "{error}");
    }

    #[test]
    fn places_inside_are_below_the_root() {
        let root = Root {
            place: PathBuf::from("/tmp"),
            user: 503,
        };
        assert_eq!(root.inside(Path::new("/usr")), Path::new("/tmp/usr"));
        assert_eq!(root.inside(Path::new("/")), Path::new("/tmp/"));
    }
}
