//! The file tree of the sandbox, built in its own mount namespace.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statvfs::{FsFlags, statvfs};

use super::{Bind, SandboxError, Spec};

/// The devices a step may use, all without state.
const DEVICES: [&str; 5] = ["null", "zero", "full", "random", "urandom"];

/// Replaces the root directory by the SDK, a throw-away layer above it, and what
/// the description lists. Gives a writable /proc, not visible in the tree, for
/// what remains to be set up.
pub(super) fn enter(spec: &Spec) -> Result<fs::File, SandboxError> {
    let none = None::<&Path>;
    // Nothing mounted from here on may propagate to the host.
    let slash = Path::new("/");
    mount(
        none,
        slash,
        none,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        none,
    )
    .map_err(tree("make private", slash))?;

    let staging = &spec.staging;
    mount_tmpfs(staging, "mode=0755", MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    // Relative names keep commas and colons of host paths out of the options.
    std::env::set_current_dir(staging).map_err(|e| tree_io("enter", staging)(e))?;
    for directory in ["sdk", "upper", "overlay", "root", "proc"] {
        make_directory(Path::new(directory))?;
    }
    bind(&spec.sdk, Path::new("sdk"), false)?;
    let root = Path::new("root");
    mount(
        Some("overlay"),
        root,
        Some("overlay"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
        Some("lowerdir=sdk,upperdir=upper,workdir=overlay,userxattr"),
    )
    .map_err(tree("overlay the SDK", &spec.sdk))?;

    let writable = Path::new("proc");
    mount_proc(writable, MsFlags::empty())?;
    let process = fs::File::open(writable).map_err(tree_io("open", writable))?;
    // Read-only: for a caller who is root, the files of /proc/sys belong to uid 0
    // here too, and changing one would change the host.
    mount_proc(&root.join("proc"), MsFlags::MS_RDONLY)?;
    mount_devices(&root.join("dev"))?;
    let temporary = root.join("tmp");
    make_directory(&temporary)?;
    mount_tmpfs(
        &temporary,
        "mode=1777",
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV,
    )?;
    for item in &spec.binds {
        visible(root, item)?;
    }

    // pivot_root(2): the old root lies below the new one until it is detached.
    std::env::set_current_dir(root).map_err(|e| tree_io("enter", root)(e))?;
    nix::unistd::pivot_root(".", ".").map_err(tree("change the root to", root))?;
    umount2(".", MntFlags::MNT_DETACH).map_err(tree("detach the host's", slash))?;
    std::env::set_current_dir(slash).map_err(|e| tree_io("enter", slash)(e))?;
    Ok(process)
}

/// Makes one item of the description visible below `root`.
fn visible(root: &Path, item: &Bind) -> Result<(), SandboxError> {
    let target = root.join(item.target.strip_prefix("/").unwrap_or(&item.target));
    let metadata = fs::metadata(&item.source).map_err(tree_io("find", &item.source))?;
    if metadata.is_dir() {
        make_directory(&target)?;
    } else {
        if let Some(parent) = target.parent() {
            make_directory(parent)?;
        }
        fs::write(&target, b"").map_err(tree_io("create", &target))?;
    }
    if item.reorder && metadata.is_dir() {
        mount_tmpfs(&target, "mode=0755", MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
        copy_reordered(&item.source, &target)?;
        if item.writable {
            return Ok(());
        }
        return remount_read_only(&target);
    }
    bind(&item.source, &target, item.writable)
}

/// Copies a directory so that on tmpfs, which lists the newest first, its files
/// come in alphabetical order: whatever order the original has, most differ.
fn copy_reordered(source: &Path, target: &Path) -> Result<(), SandboxError> {
    let mut entries = fs::read_dir(source)
        .and_then(Iterator::collect::<io::Result<Vec<_>>>)
        .map_err(tree_io("list", source))?;
    entries.sort_by_key(|entry| std::cmp::Reverse(entry.file_name()));
    for entry in entries {
        let from = entry.path();
        let to = target.join(entry.file_name());
        let kind = entry.file_type().map_err(tree_io("find", &from))?;
        if kind.is_dir() {
            make_directory(&to)?;
            copy_reordered(&from, &to)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&from).map_err(tree_io("read", &from))?;
            symlink(link, &to).map_err(tree_io("create", &to))?;
        } else {
            fs::copy(&from, &to).map_err(tree_io("copy", &from))?;
        }
    }
    Ok(())
}

fn mount_proc(target: &Path, more: MsFlags) -> Result<(), SandboxError> {
    make_directory(target)?;
    mount(
        Some("proc"),
        target,
        Some("proc"),
        MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | more,
        None::<&Path>,
    )
    .map_err(tree(
        "mount proc (a container that hides parts of /proc forbids it) on",
        target,
    ))
}

fn mount_devices(target: &Path) -> Result<(), SandboxError> {
    make_directory(target)?;
    mount_tmpfs(target, "mode=0755,size=64k", MsFlags::MS_NOSUID)?;
    for name in DEVICES {
        let device = target.join(name);
        fs::write(&device, b"").map_err(tree_io("create", &device))?;
        bind_plain(&Path::new("/dev").join(name), &device)?;
    }
    let shared = target.join("shm");
    make_directory(&shared)?;
    mount_tmpfs(&shared, "mode=1777", MsFlags::MS_NOSUID | MsFlags::MS_NODEV)?;
    for (name, link) in [
        ("fd", "/proc/self/fd"),
        ("stdin", "/proc/self/fd/0"),
        ("stdout", "/proc/self/fd/1"),
        ("stderr", "/proc/self/fd/2"),
    ] {
        let path = target.join(name);
        symlink(link, &path).map_err(tree_io("create", &path))?;
    }
    Ok(())
}

fn mount_tmpfs(target: &Path, options: &str, flags: MsFlags) -> Result<(), SandboxError> {
    mount(Some("tmpfs"), target, Some("tmpfs"), flags, Some(options))
        .map_err(tree("mount tmpfs on", target))
}

fn bind_plain(source: &Path, target: &Path) -> Result<(), SandboxError> {
    let none = None::<&Path>;
    // Not recursive: what the host mounts below a bound directory is no part of it.
    mount(Some(source), target, none, MsFlags::MS_BIND, none).map_err(tree("bind", source))
}

fn bind(source: &Path, target: &Path, writable: bool) -> Result<(), SandboxError> {
    bind_plain(source, target)?;
    if writable {
        return Ok(());
    }
    remount_read_only(target)
}

/// Takes writing, set-user-id and devices from a mount, keeping the flags that
/// the host set: a user namespace may not clear those (mount_namespaces(7)).
fn remount_read_only(target: &Path) -> Result<(), SandboxError> {
    let mut flags = MsFlags::MS_BIND
        | MsFlags::MS_REMOUNT
        | MsFlags::MS_RDONLY
        | MsFlags::MS_NOSUID
        | MsFlags::MS_NODEV;
    let present = statvfs(target)
        .map_err(tree("read the mount flags of", target))?
        .flags();
    for (flag, kept) in [
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
        (FsFlags::ST_NOATIME, MsFlags::MS_NOATIME),
        (FsFlags::ST_NODIRATIME, MsFlags::MS_NODIRATIME),
        (FsFlags::ST_RELATIME, MsFlags::MS_RELATIME),
    ] {
        if present.contains(flag) {
            flags |= kept;
        }
    }
    let none = None::<&Path>;
    mount(none, target, none, flags, none).map_err(tree("remount read-only", target))
}

fn make_directory(path: &Path) -> Result<(), SandboxError> {
    fs::create_dir_all(path).map_err(tree_io("create", path))
}

fn tree(action: &'static str, path: &Path) -> impl FnOnce(nix::Error) -> SandboxError {
    let report = tree_io(action, path);
    move |error| report(error.into())
}

fn tree_io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> SandboxError {
    let path: PathBuf = path.to_owned();
    move |source| SandboxError::Tree {
        action,
        path,
        source,
    }
}
