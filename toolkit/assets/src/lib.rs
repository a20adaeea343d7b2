//! Pins, fetches, exports and imports everything a build takes from outside.
//!
//! Purpose: `bastide.lock` names every Debian package of every SDK with its
//! SHA-256, `Cargo.lock` every crate; from those alone this makes the root file
//! systems in which steps run.
//!
//! Trust boundary: archive signatures are checked by apt when the lock is made (or
//! a package replaced); from then on the hashes of the lock decide. A mirror, an
//! imported archive and the network are not trusted.
//!
//! This never does: changing the host's apt, running a step, taking a file whose
//! hash is not locked.

#![forbid(unsafe_code)]

mod apt;
mod control;
mod crates;
mod definition;
mod error;
mod exchange;
mod lock;
mod make;
mod mirror;
mod program;
mod repository;
mod store;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bastide_recipe::files::{self, Scratch};
use bastide_recipe::progress::Progress;
use bastide_recipe::{Sdk, SdkName, Sdks, sha256_of_file};

pub use error::Error;
pub use exchange::Exchanged;
pub use lock::{Lock, Package};
pub use make::PackageFiles;
pub use mirror::Mirror;

use apt::Apt;
use definition::{Debian, Definition, Kind};
use store::Store;

/// Where things are, and how strict to be.
#[derive(Clone, Debug)]
pub struct Options {
    /// The checkout.
    pub tree: PathBuf,
    /// The cache.
    pub cache: PathBuf,
    /// The mirror to use instead of the one in the host's apt configuration.
    pub mirror: Option<String>,
    /// Whether to refuse, rather than replace, packages that are no longer served.
    pub locked: bool,
}

/// Everything a build takes from outside. Cheap to clone.
#[derive(Clone)]
pub struct Assets(Arc<Inner>);

struct Inner {
    options: Options,
    debian: Debian,
    store: Store,
    /// The lock in force: the tree's, or what replaced it.
    lock: Mutex<Arc<Lock>>,
}

/// An unpacked set of packages.
#[derive(Clone, Debug)]
pub struct FileSet {
    /// The directory in which all are unpacked together.
    pub directory: PathBuf,
    /// What identifies its content.
    pub key: String,
    /// Which package each file comes from.
    pub packages: Vec<PackageFiles>,
}

/// What relocking changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// `name version (architecture)` of what came.
    pub added: Vec<String>,
    /// The same of what went.
    pub removed: Vec<String>,
}

impl Assets {
    /// The assets of a checkout. A missing lock shows only when it is used.
    ///
    /// # Errors
    /// When the checkout's definitions or its lock are malformed.
    pub fn open(options: Options) -> Result<Self, Error> {
        let debian = Debian::load(&options.tree)?;
        let path = options.tree.join("bastide.lock");
        let lock = if path.exists() {
            let adapted = adapted_path(&options)?;
            if !options.locked && adapted.exists() {
                let text = "notice: some packages of bastide.lock are no longer served; \
                    their replacements are used (relock to keep them)";
                Progress::new().note(text);
                Lock::load(&adapted)?
            } else {
                Lock::load(&path)?
            }
        } else {
            Lock::new(BTreeMap::new(), [])
        };
        Ok(Self(Arc::new(Inner {
            store: Store::new(&options.cache),
            lock: Mutex::new(Arc::new(lock)),
            debian,
            options,
        })))
    }

    /// The lock in force: the tree's, but for packages that had to be replaced.
    pub fn lock(&self) -> Arc<Lock> {
        let lock = self.0.lock.lock();
        Arc::clone(&lock.unwrap_or_else(PoisonError::into_inner))
    }

    /// The set of unpacked packages defined as `name`, made now if need be.
    ///
    /// # Errors
    /// When it is not locked, or its packages cannot be had.
    pub fn files(&self, name: &str) -> Result<FileSet, Error> {
        let inner = &self.0;
        let (lock, key) = self.settle(name, Kind::Files)?;
        let target = self.place(name, &key);
        let _lock = self.making(name, &key)?;
        if !target.exists() {
            self.require(name)?;
            let cache = &inner.options.cache;
            make::file_set(name, cache, &inner.store, &lock.of(name)?, &target)?;
        }
        let path = target.join("files.json");
        let text = fs::read(&path).map_err(Error::file("read", &path))?;
        let packages = serde_json::from_slice(&text)
            .map_err(std::io::Error::from)
            .map_err(Error::file("understand", &path))?;
        Ok(FileSet {
            directory: target.join("root"),
            key,
            packages,
        })
    }

    /// The vendored crates of `Cargo.lock`, with the key that identifies them.
    ///
    /// # Errors
    /// When they are not unpacked: the `./bastide` script does that.
    pub fn crates(&self) -> Result<(PathBuf, String), Error> {
        crates::vendored(&self.0.options.tree, &self.0.options.cache)
    }

    /// Fetches all that is locked; gives the number of packages.
    ///
    /// # Errors
    /// When something cannot be had.
    pub fn fetch(&self) -> Result<usize, Error> {
        self.fetch_for(None)?;
        Ok(self.lock().packages.len())
    }

    /// Resolves all definitions anew and writes the tree's lock.
    ///
    /// # Errors
    /// When the mirror cannot be reached, a signature is wrong, or a definition
    /// asks for what does not exist.
    pub fn relock(&self) -> Result<Changes, Error> {
        let options = &self.0.options;
        let mirror = self.mirror()?;
        let apt = Apt::new(&options.cache, &self.0.debian, &mirror, None)?;
        let new = self.resolve(&apt)?;
        let path = options.tree.join("bastide.lock");
        let old = if path.exists() {
            Lock::load(&path)?
        } else {
            Lock::new(BTreeMap::new(), [])
        };
        let changes = changes(&old, &new);
        new.save(&path)?;
        self.replace(new);
        Ok(changes)
    }

    /// Writes everything that an offline build needs into one archive.
    ///
    /// # Errors
    /// When something of it cannot be had.
    pub fn export(&self, archive: &Path) -> Result<Exchanged, Error> {
        let options = &self.0.options;
        let lock = Lock::load(&options.tree.join("bastide.lock"))?;
        let all = lock.packages.iter().collect::<Vec<_>>();
        let gone = if all.iter().all(|package| self.0.store.has(package)) {
            Vec::new()
        } else {
            self.0.store.fetch(&all, &self.0.debian, &self.mirror()?)?
        };
        if !gone.is_empty() {
            return Err(Error::Gone {
                packages: gone.iter().map(|package| package.title()).collect(),
            });
        }
        exchange::export(options, &self.0.store, &lock, archive)
    }

    /// Takes in what [`Self::export`] wrote, checking every hash against the locks
    /// of this checkout.
    ///
    /// # Errors
    /// When a hash is wrong or something is missing.
    pub fn import(&self, archive: &Path) -> Result<Exchanged, Error> {
        let options = &self.0.options;
        let lock = Lock::load(&options.tree.join("bastide.lock"))?;
        exchange::import(options, &self.0.store, &lock, archive)
    }

    fn mirror(&self) -> Result<Mirror, Error> {
        match &self.0.options.mirror {
            Some(url) => Ok(Mirror::new(url)),
            None => Mirror::of_host(),
        }
    }

    fn resolve(&self, apt: &Apt<'_>) -> Result<Lock, Error> {
        let mut packages = Vec::new();
        let mut fingerprints = BTreeMap::new();
        for (name, definition) in Definition::load_all(&self.0.options.tree)? {
            packages.extend(apt.resolve(&name, &definition)?);
            fingerprints.insert(name, definition.fingerprint(&self.0.debian));
        }
        Ok(Lock::new(fingerprints, packages))
    }

    fn replace(&self, lock: Lock) {
        let mut current = self.0.lock.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(lock);
    }

    fn place(&self, name: &str, key: &str) -> PathBuf {
        let sdks = self.0.options.cache.join("sdk");
        sdks.join(format!("{name}-{}", &key[..16]))
    }

    fn making(&self, name: &str, key: &str) -> Result<files::Lock, Error> {
        let sdks = self.0.options.cache.join("sdk");
        let path = sdks.join(format!(".{name}-{}.lock", &key[..16]));
        Ok(files::Lock::acquire(&path, || {
            let text = format!("sdk {name}: waiting for another build that makes it");
            Progress::new().note(&text);
        })?)
    }

    /// The lock from which `name` will be made, and the key. Where nothing is made
    /// yet the packages are fetched first: that may replace some.
    fn settle(&self, name: &str, kind: Kind) -> Result<(Arc<Lock>, String), Error> {
        let lock = self.lock();
        let path = self.0.options.tree.join("products/base/sdk");
        let path = path.join(format!("{name}.toml"));
        if !path.exists() {
            return Err(Error::Unlocked { name: name.into() });
        }
        let definition: Definition = definition::parse(&path)?;
        if lock.definitions.get(name) != Some(&definition.fingerprint(&self.0.debian)) {
            return Err(Error::Stale { path });
        }
        if definition.kind != kind {
            return Err(Error::Kind { path });
        }
        let making = match kind {
            Kind::System => make::SYSTEM,
            Kind::Files => make::FILES,
        };
        let key = lock.key(name, making)?;
        if self.place(name, &key).exists() {
            return Ok((lock, key));
        }
        self.fetch_for(Some(name))?;
        let lock = self.lock();
        let key = lock.key(name, making)?;
        Ok((lock, key))
    }

    /// The packages of `name` are there; else fetched exactly as locked.
    fn require(&self, name: &str) -> Result<(), Error> {
        let lock = self.lock();
        let missing = lock
            .of(name)?
            .into_iter()
            .filter(|package| !self.0.store.has(package))
            .map(Package::title)
            .collect::<Vec<_>>();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(Error::Gone { packages: missing })
        }
    }

    /// Fetches the packages of one SDK, or of all; replaces what is gone.
    fn fetch_for(&self, name: Option<&str>) -> Result<(), Error> {
        let inner = &self.0;
        let lock = self.lock();
        let packages = match name {
            Some(name) => lock.of(name)?,
            None => lock.packages.iter().collect(),
        };
        if packages.iter().all(|package| inner.store.has(package)) {
            return Ok(());
        }
        let mirror = self.mirror()?;
        let gone = inner.store.fetch(&packages, &inner.debian, &mirror)?;
        if gone.is_empty() {
            return Ok(());
        }
        if inner.options.locked {
            return Err(Error::Gone {
                packages: gone.iter().map(|package| package.title()).collect(),
            });
        }
        self.adapt(&lock, &mirror)?;
        let lock = self.lock();
        let packages = match name {
            Some(name) => lock.of(name)?,
            None => lock.packages.iter().collect(),
        };
        let gone = inner.store.fetch(&packages, &inner.debian, &mirror)?;
        if gone.is_empty() {
            Ok(())
        } else {
            Err(Error::Gone {
                packages: gone.iter().map(|package| package.title()).collect(),
            })
        }
    }

    /// Puts a lock in force in which what the mirror no longer serves is replaced
    /// by the suite's current version, all else kept.
    fn adapt(&self, lock: &Lock, mirror: &Mirror) -> Result<(), Error> {
        let inner = &self.0;
        let options = &inner.options;
        let scratch = Scratch::new(&options.cache.join("tmp"), "kept")?;
        let kept = lock
            .packages
            .iter()
            .filter(|package| inner.store.has(package))
            .collect::<Vec<_>>();
        repository::create(scratch.path(), &inner.debian, &inner.store, &kept)?;
        let pinned = Some((lock, scratch.path()));
        let apt = Apt::new(&options.cache, &inner.debian, mirror, pinned)?;
        let new = self.resolve(&apt)?;
        let progress = Progress::new();
        let changes = changes(lock, &new);
        for removed in &changes.removed {
            progress.note(&format!("notice: {removed} is no longer served"));
        }
        for added in &changes.added {
            progress.note(&format!("notice: {added} takes its place"));
        }
        new.save(&adapted_path(options)?)?;
        self.replace(new);
        Ok(())
    }
}

impl Sdks for Assets {
    fn key(&self, name: &SdkName) -> Result<String, Box<dyn std::error::Error + Send + Sync>> {
        Ok(self.settle(name.as_str(), Kind::System)?.1)
    }

    fn sdk(&self, name: &SdkName) -> Result<Sdk, Box<dyn std::error::Error + Send + Sync>> {
        let inner = &self.0;
        let name = name.as_str();
        let (lock, key) = self.settle(name, Kind::System)?;
        let target = self.place(name, &key);
        let _lock = self.making(name, &key)?;
        if !target.exists() {
            self.require(name)?;
            let cache = &inner.options.cache;
            let packages = lock.of(name)?;
            make::system(name, cache, &inner.debian, &inner.store, &packages, &target)?;
        }
        Ok(Sdk {
            directory: target.join("root"),
            key,
        })
    }
}

/// Where the lock is kept that replaces this very state of the tree's.
fn adapted_path(options: &Options) -> Result<PathBuf, Error> {
    let hash = sha256_of_file(&options.tree.join("bastide.lock"))?;
    Ok(options
        .cache
        .join("adapted")
        .join(format!("{}.lock", &hash[..16])))
}

fn changes(old: &Lock, new: &Lock) -> Changes {
    let titles = |lock: &Lock| {
        let packages = lock.packages.iter();
        packages
            .map(Package::title)
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (before, after) = (titles(old), titles(new));
    Changes {
        added: after.difference(&before).cloned().collect(),
        removed: before.difference(&after).cloned().collect(),
    }
}
