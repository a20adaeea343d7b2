//! The log's folder on the state volume.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::PathBuf;

use bastide_log_format::name::{BOOTS, FileName, StreamName, is_boot_file};
use rustix::fs::{FallocateFlags, fallocate, fstatvfs};

/// Where the log lies.
pub const FOLDER: &str = "/var/lib/log";

/// The file that sets room aside; no stream has such a name.
const RESERVE: &str = ".reserve";

/// A file of a stream: the stream's name, the file's, its size in bytes.
pub type Listed = (StreamName, FileName, u64);

/// What the file system has, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// In all.
    pub total: u64,
    /// Left for us.
    pub free: u64,
}

/// What is done to the disk: a trait, so that a test can have a full one.
pub trait Disk {
    /// All files of all streams.
    ///
    /// # Errors
    /// When the folder cannot be read.
    fn list(&self) -> io::Result<Vec<Listed>>;

    /// Begins a file, which must not be there.
    ///
    /// # Errors
    /// When it cannot be made.
    fn create(&self, stream: &StreamName, name: FileName) -> io::Result<File>;

    /// Opens a file to go on with it.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn reopen(&self, stream: &StreamName, name: FileName) -> io::Result<File>;

    /// Opens a file to read it.
    ///
    /// # Errors
    /// When it cannot be opened.
    fn read(&self, stream: &StreamName, name: FileName) -> io::Result<File>;

    /// Adds bytes at the end of a file of `size` bytes: all of them or none.
    ///
    /// # Errors
    /// When they cannot be written; the file is as before then.
    fn append(&self, file: &mut File, size: u64, bytes: &[u8]) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove(&self, stream: &StreamName, name: FileName) -> io::Result<()>;

    /// Sets so many bytes aside, unless they are.
    ///
    /// # Errors
    /// When there is no room for them; nothing is set aside then.
    fn reserve(&self, bytes: u64) -> io::Result<()>;

    /// Gives up what is set aside. `false`: nothing was.
    ///
    /// # Errors
    /// When it cannot be given up.
    fn release(&self) -> io::Result<bool>;

    /// What there is room for.
    ///
    /// # Errors
    /// When the file system does not say.
    fn space(&self) -> io::Result<Space>;

    /// The certificates of boots, as they are written, by the names of their files.
    ///
    /// # Errors
    /// When they cannot be read.
    fn certificates(&self) -> io::Result<Vec<(String, Vec<u8>)>>;

    /// Removes the certificate of a boot, whose log now carries it; none is no error.
    ///
    /// # Errors
    /// When it cannot be removed.
    fn remove_certificate(&self, name: &str) -> io::Result<()>;
}

/// A folder of a real disk.
#[derive(Debug, Clone)]
pub struct Folder(pub PathBuf);

impl Folder {
    fn path(&self, stream: &StreamName, name: FileName) -> PathBuf {
        self.0.join(stream.as_str()).join(name.to_string())
    }

    /// Makes sure that the entry of a new file, or of a folder, outlives a power cut.
    fn sync_folder(path: &PathBuf) -> io::Result<()> {
        File::open(path)?.sync_all()
    }
}

impl Disk for Folder {
    fn list(&self) -> io::Result<Vec<Listed>> {
        let mut files = Vec::new();
        for folder in fs::read_dir(&self.0)? {
            let folder = folder?;
            // Other names are none of ours: lost+found, for one.
            let Ok(stream) = StreamName::new(&folder.file_name().to_string_lossy()) else {
                continue;
            };
            for file in fs::read_dir(folder.path())? {
                let file = file?;
                if let Ok(name) = FileName::parse(&file.file_name().to_string_lossy()) {
                    files.push((stream.clone(), name, file.metadata()?.len()));
                }
            }
        }
        Ok(files)
    }

    fn create(&self, stream: &StreamName, name: FileName) -> io::Result<File> {
        let folder = self.0.join(stream.as_str());
        match fs::DirBuilder::new().mode(0o700).create(&folder) {
            Ok(()) => Self::sync_folder(&self.0)?,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        let file = OpenOptions::new()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path(stream, name))?;
        Self::sync_folder(&folder)?;
        Ok(file)
    }

    fn reopen(&self, stream: &StreamName, name: FileName) -> io::Result<File> {
        OpenOptions::new()
            .append(true)
            .open(self.path(stream, name))
    }

    fn read(&self, stream: &StreamName, name: FileName) -> io::Result<File> {
        File::open(self.path(stream, name))
    }

    fn append(&self, file: &mut File, size: u64, bytes: &[u8]) -> io::Result<()> {
        let written = file.write_all(bytes);
        if written.is_err() {
            // Part of it may be there.
            file.set_len(size)?;
        }
        written
    }

    fn remove(&self, stream: &StreamName, name: FileName) -> io::Result<()> {
        fs::remove_file(self.path(stream, name))
    }

    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let path = self.0.join(RESERVE);
        if fs::metadata(&path).is_ok_and(|file| file.len() == bytes) {
            return Ok(());
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        let set_aside = fallocate(&file, FallocateFlags::empty(), 0, bytes);
        if set_aside.is_err() {
            fs::remove_file(&path)?;
        }
        Ok(set_aside?)
    }

    fn release(&self) -> io::Result<bool> {
        match fs::remove_file(self.0.join(RESERVE)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn space(&self) -> io::Result<Space> {
        let space = fstatvfs(File::open(&self.0)?)?;
        // `f_bavail` is what is left once the reserve is taken off, unless we may use it.
        Ok(Space {
            total: space.f_blocks.saturating_mul(space.f_frsize),
            free: space.f_bavail.saturating_mul(space.f_frsize),
        })
    }

    fn certificates(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        let mut certificates = Vec::new();
        let folder = match fs::read_dir(self.0.join(BOOTS)) {
            Ok(folder) => folder,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(certificates),
            Err(error) => return Err(error),
        };
        for entry in folder {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if is_boot_file(&name) {
                let mut content = Vec::new();
                File::open(entry.path())?
                    .take(1024)
                    .read_to_end(&mut content)?;
                certificates.push((name, content));
            }
        }
        Ok(certificates)
    }

    fn remove_certificate(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(BOOTS).join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}
