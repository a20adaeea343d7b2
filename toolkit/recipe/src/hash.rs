//! Content hashes of files and directories, remembered by what stat(2) says.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::Error;

/// A file changed this recently may change again within the clock's grain, and is
/// hashed anew next time.
const SETTLED_NANOSECONDS: i128 = 1_000_000_000;

/// More than any tree has; beyond, only what this run used is kept.
const MOST_ENTRIES: usize = 100_000;

/// SHA-256 over fields, each preceded by its length so that no two sequences of
/// fields give the same bytes.
#[derive(Default)]
pub(crate) struct Fields(Sha256);

impl Fields {
    pub(crate) fn add(&mut self, field: impl AsRef<[u8]>) {
        let field = field.as_ref();
        self.0.update((field.len() as u64).to_le_bytes());
        self.0.update(field);
    }

    pub(crate) fn finish(self) -> String {
        hex::encode(self.0.finalize())
    }
}

/// What stat(2) says of an unchanged file.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: i128,
    changed: i128,
}

impl Stamp {
    fn of(metadata: &fs::Metadata) -> Self {
        let time = |seconds: i64, part: i64| i128::from(seconds) * 1_000_000_000 + i128::from(part);
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.len(),
            modified: time(metadata.mtime(), metadata.mtime_nsec()),
            changed: time(metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn settled(&self) -> bool {
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_nanos() as i128);
        self.modified.max(self.changed) + SETTLED_NANOSECONDS < now
    }
}

#[derive(Clone, Serialize, Deserialize)]
struct Entry {
    stamp: Stamp,
    sha256: String,
    #[serde(skip)]
    used: bool,
}

/// Hashes of files already seen. Losing it costs time only.
#[derive(Default)]
pub(crate) struct Memo {
    file: PathBuf,
    entries: BTreeMap<PathBuf, Entry>,
    dirty: bool,
}

impl Memo {
    /// The memo kept in `file`; empty when there is none or it is unreadable.
    pub(crate) fn load(file: &Path) -> Self {
        let entries = fs::read(file)
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .unwrap_or_default();
        Self {
            file: file.to_owned(),
            entries,
            dirty: false,
        }
    }

    /// Writes the memo back if it changed.
    pub(crate) fn save(&mut self) -> Result<(), Error> {
        if !self.dirty {
            return Ok(());
        }
        if self.entries.len() > MOST_ENTRIES {
            self.entries.retain(|_, entry| entry.used);
        }
        let text = serde_json::to_vec(&self.entries)
            .map_err(io::Error::from)
            .map_err(Error::file("write", &self.file))?;
        crate::files::write_atomically(&self.file, &text)?;
        self.dirty = false;
        Ok(())
    }

    /// SHA-256 of a file's content.
    pub(crate) fn file(&mut self, path: &Path) -> Result<String, Error> {
        let before = Stamp::of(&fs::metadata(path).map_err(Error::file("read", path))?);
        if let Some(entry) = self.entries.get_mut(path)
            && entry.stamp == before
        {
            entry.used = true;
            return Ok(entry.sha256.clone());
        }
        let sha256 = file(path)?;
        if before.settled() {
            self.entries.insert(
                path.to_owned(),
                Entry {
                    stamp: before,
                    sha256: sha256.clone(),
                    used: true,
                },
            );
            self.dirty = true;
        }
        Ok(sha256)
    }

    /// What identifies a file or directory of the tree: content, names, executable
    /// bits, targets of links.
    pub(crate) fn tree(&mut self, path: &Path) -> Result<String, Error> {
        tree(path, &mut |file| self.file(file))
    }
}

/// SHA-256 of a file's content, read now.
pub(crate) fn file(path: &Path) -> Result<String, Error> {
    let mut input = fs::File::open(path).map_err(Error::file("open", path))?;
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let count = input.read(&mut buffer).map_err(Error::file("read", path))?;
        if count == 0 {
            return Ok(hex::encode(hash.finalize()));
        }
        hash.update(&buffer[..count]);
    }
}

/// As [`Memo::tree`], but reading every file now.
pub(crate) fn tree_now(path: &Path) -> Result<String, Error> {
    tree(path, &mut file)
}

fn tree(
    path: &Path,
    content: &mut dyn FnMut(&Path) -> Result<String, Error>,
) -> Result<String, Error> {
    let mut fields = Fields::default();
    add(&mut fields, path, OsStr::new(""), content)?;
    Ok(fields.finish())
}

fn add(
    fields: &mut Fields,
    path: &Path,
    name: &OsStr,
    content: &mut dyn FnMut(&Path) -> Result<String, Error>,
) -> Result<(), Error> {
    let metadata = if name.is_empty() {
        // The root of an input may be a link; what it points to is meant.
        fs::metadata(path)
    } else {
        fs::symlink_metadata(path)
    }
    .map_err(Error::file("find", path))?;
    fields.add(name.as_bytes());
    if metadata.is_dir() {
        let mut entries = fs::read_dir(path)
            .and_then(Iterator::collect::<io::Result<Vec<_>>>)
            .map_err(Error::file("list", path))?;
        entries.sort_by_key(fs::DirEntry::file_name);
        fields.add("directory");
        fields.add((entries.len() as u64).to_le_bytes());
        for entry in entries {
            add(fields, &entry.path(), &entry.file_name(), content)?;
        }
    } else if metadata.is_symlink() {
        let target = fs::read_link(path).map_err(Error::file("read", path))?;
        fields.add("link");
        fields.add(target.as_os_str().as_bytes());
    } else if metadata.is_file() {
        fields.add(if metadata.mode() & 0o111 == 0 {
            "file"
        } else {
            "program"
        });
        fields.add(content(path)?);
    } else {
        return Err(Error::Special {
            path: path.to_owned(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn sample() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("one"), "1").unwrap();
        fs::create_dir(directory.path().join("sub")).unwrap();
        fs::write(directory.path().join("sub/two"), "2").unwrap();
        symlink("one", directory.path().join("link")).unwrap();
        directory
    }

    #[test]
    fn same_content_elsewhere_has_the_same_hash() {
        let (first, second) = (sample(), sample());
        assert_eq!(
            tree_now(first.path()).unwrap(),
            tree_now(second.path()).unwrap()
        );
    }

    #[test]
    fn every_kind_of_change_shows() {
        let original = tree_now(sample().path()).unwrap();
        let changes: [fn(&Path); 6] = [
            |root| fs::write(root.join("one"), "3").unwrap(),
            |root| fs::rename(root.join("one"), root.join("uno")).unwrap(),
            |root| fs::rename(root.join("sub/two"), root.join("two")).unwrap(),
            |root| {
                let mode = fs::Permissions::from_mode(0o755);
                fs::set_permissions(root.join("one"), mode).unwrap();
            },
            |root| {
                fs::remove_file(root.join("link")).unwrap();
                symlink("two", root.join("link")).unwrap();
            },
            |root| fs::create_dir(root.join("empty")).unwrap(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            let changed = sample();
            change(changed.path());
            assert_ne!(
                original,
                tree_now(changed.path()).unwrap(),
                "change {number} went unseen"
            );
        }
    }

    #[test]
    fn fields_cannot_be_shifted() {
        let mut one = Fields::default();
        one.add("ab");
        one.add("c");
        let mut other = Fields::default();
        other.add("a");
        other.add("bc");
        assert_ne!(one.finish(), other.finish());
    }

    #[test]
    fn a_memo_is_used_only_while_the_file_is_the_same() {
        let directory = sample();
        let path = directory.path().join("one");
        let old = SystemTime::now() - std::time::Duration::from_secs(60);
        let age = |path: &Path| {
            fs::File::open(path).unwrap().set_modified(old).unwrap();
        };
        age(&path);
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let mut memo = Memo::load(&directory.path().join("memo"));
        let first = memo.file(&path).unwrap();
        memo.save().unwrap();
        let mut memo = Memo::load(&directory.path().join("memo"));
        assert_eq!(memo.entries.len(), 1);
        assert_eq!(memo.file(&path).unwrap(), first);
        // Same size and modification time: only the change time tells.
        fs::write(&path, "3").unwrap();
        age(&path);
        assert_ne!(memo.file(&path).unwrap(), first);
    }
}
