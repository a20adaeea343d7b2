//! Makes the tree.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Component, Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::Error;
use crate::dpkg::{Package, PackageSet, merged};
use crate::elf::Elf;
use crate::origins::{Entry, Kind, Origin, Origins};
use crate::plan::{DataOrigin, Plan};

/// Where Debian keeps libraries, and where its dynamic loader looks by itself.
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

const EXECUTABLE: u32 = 0o755;
const DATA: u32 = 0o644;

/// Makes the Core of `plan` in `tree`, which must exist and be empty. Libraries
/// come from the unpacked packages at `packages`, which `set` describes.
///
/// # Errors
/// When something is missing, unclear or there twice.
pub fn compose(
    plan: &Plan,
    packages: &Path,
    set: &PackageSet,
    tree: &Path,
) -> Result<Origins, Error> {
    let mut core = Core {
        tree,
        packages,
        set,
        allowed: plan.packages.iter().cloned().collect(),
        entries: BTreeMap::new(),
    };
    for directory in &plan.directories {
        core.directory(&plain(directory)?, &Origin::Layout)?;
    }
    for link in &plan.links {
        core.link(&plain(&link.at)?, &link.to, Origin::Layout)?;
    }
    for file in &plan.files {
        let origin = match file.origin.clone() {
            DataOrigin::Tree(file) => Origin::Tree { file },
            DataOrigin::Rendered(file) => Origin::Rendered { file },
        };
        core.file(Path::new(&file.from), &plain(&file.to)?, DATA, origin)?;
    }
    let mut wanting = VecDeque::new();
    for program in &plan.programs {
        let origin = Origin::Step {
            step: program.step.clone(),
            package: Some(program.package.clone()),
        };
        let to = plain(&program.to)?;
        let content = core.file(Path::new(&program.from), &to, EXECUTABLE, origin)?;
        wanting.push_back((to.clone(), Elf::parse(&to, &content)?));
    }
    core.libraries(wanting)?;
    if let Some(modules) = &plan.modules {
        let origin = Origin::Step {
            step: modules.step.clone(),
            package: None,
        };
        core.whole_directory(Path::new(&modules.from), &plain(&modules.to)?, &origin)?;
    }
    Ok(Origins {
        version: 1,
        entries: core.entries.into_values().collect(),
    })
}

struct Core<'a> {
    tree: &'a Path,
    packages: &'a Path,
    set: &'a PackageSet,
    allowed: BTreeSet<String>,
    entries: BTreeMap<PathBuf, Entry>,
}

impl Core<'_> {
    /// Adds what the given ELF files need, and what those need, and so on.
    fn libraries(&mut self, mut wanting: VecDeque<(PathBuf, Elf)>) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        while let Some((path, elf)) = wanting.pop_front() {
            let loader = elf.interpreter.iter().map(|loader| {
                let path = loader.trim_start_matches('/').to_owned();
                (loader.clone(), path, EXECUTABLE)
            });
            // The loader may be needed as a library too; it stays executable.
            let needed = elf.needed.iter().map(|library| {
                let mode = if library.starts_with("ld-linux") {
                    EXECUTABLE
                } else {
                    DATA
                };
                (library.clone(), format!("{LIBRARIES}/{library}"), mode)
            });
            for (name, from, mode) in loader.chain(needed) {
                let Some((file, links)) = resolve(self.packages, Path::new(&from))? else {
                    return Err(Error::LibraryMissing {
                        library: name,
                        needed_by: path.display().to_string(),
                    });
                };
                for (at, to) in links {
                    if seen.insert(at.clone()) {
                        let origin = Origin::Package(self.package_of(&at)?);
                        self.link(&at, &to, origin)?;
                    }
                }
                if seen.insert(file.clone()) {
                    let origin = Origin::Package(self.package_of(&file)?);
                    let source = self.packages.join(&file);
                    let content = self.file(&source, &file, mode, origin)?;
                    let elf = Elf::parse(&file, &content)?;
                    wanting.push_back((file, elf));
                }
            }
        }
        Ok(())
    }

    fn package_of(&self, path: &Path) -> Result<Package, Error> {
        let Some(package) = self.set.owner(path) else {
            return Err(Error::NoPackage {
                path: path.display().to_string(),
            });
        };
        if !self.allowed.contains(&package.name) {
            return Err(Error::PackageNotListed {
                path: path.display().to_string(),
                package: package.name.clone(),
            });
        }
        Ok(package.clone())
    }

    fn whole_directory(&mut self, from: &Path, to: &Path, origin: &Origin) -> Result<(), Error> {
        self.directory(to, origin)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(from).map_err(Error::file("look into", from))? {
            names.push(entry.map_err(Error::file("look into", from))?.file_name());
        }
        names.sort();
        for name in names {
            let (source, target) = (from.join(&name), to.join(&name));
            let metadata =
                fs::symlink_metadata(&source).map_err(Error::file("look at", &source))?;
            if metadata.is_dir() {
                self.whole_directory(&source, &target, origin)?;
            } else {
                self.file(&source, &target, DATA, origin.clone())?;
            }
        }
        Ok(())
    }

    fn directory(&mut self, path: &Path, origin: &Origin) -> Result<(), Error> {
        if path.as_os_str().is_empty() {
            return Ok(());
        }
        match self.entries.get(path).map(|entry| &entry.kind) {
            Some(Kind::Directory) => return Ok(()),
            Some(_) => return Err(twice(path)),
            None => {}
        }
        self.directory(path.parent().unwrap_or(Path::new("")), &Origin::Layout)?;
        let target = self.tree.join(path);
        fs::create_dir(&target).map_err(Error::file("create", &target))?;
        set_mode(&target, EXECUTABLE)?;
        self.record(path, Kind::Directory, origin.clone())
    }

    fn link(&mut self, path: &Path, to: &str, origin: Origin) -> Result<(), Error> {
        self.directory(path.parent().unwrap_or(Path::new("")), &Origin::Layout)?;
        let kind = Kind::Link {
            target: to.to_owned(),
        };
        self.record(path, kind, origin)?;
        let target = self.tree.join(path);
        symlink(to, &target).map_err(Error::file("create", &target))
    }

    fn file(
        &mut self,
        from: &Path,
        path: &Path,
        mode: u32,
        origin: Origin,
    ) -> Result<Vec<u8>, Error> {
        self.directory(path.parent().unwrap_or(Path::new("")), &Origin::Layout)?;
        let content = fs::read(from).map_err(Error::file("read", from))?;
        let kind = Kind::File {
            mode: format!("{mode:04o}"),
            size: content.len() as u64,
            sha256: hex::encode(Sha256::digest(&content)),
        };
        self.record(path, kind, origin)?;
        let target = self.tree.join(path);
        fs::write(&target, &content).map_err(Error::file("write", &target))?;
        set_mode(&target, mode)?;
        Ok(content)
    }

    fn record(&mut self, path: &Path, kind: Kind, origin: Origin) -> Result<(), Error> {
        let entry = Entry {
            path: path.display().to_string(),
            kind,
            origin,
        };
        match self.entries.insert(path.to_owned(), entry) {
            None => Ok(()),
            Some(_) => Err(twice(path)),
        }
    }
}

fn twice(path: &Path) -> Error {
    Error::Twice {
        path: path.display().to_string(),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    // Explicitly, because the file mode creation mask has a say in creation.
    fs::set_permissions(path, fs::Permissions::from_mode(mode))
        .map_err(Error::file("change the mode of", path))
}

/// The path, if it is relative and in normal form.
fn plain(path: &str) -> Result<PathBuf, Error> {
    let components_are_plain = Path::new(path)
        .components()
        .all(|component| matches!(component, Component::Normal(_)));
    if path.is_empty() || path.contains("//") || path.ends_with('/') || !components_are_plain {
        return Err(Error::Outside {
            path: path.to_owned(),
        });
    }
    Ok(PathBuf::from(path))
}

/// A file, and the links passed on the way to it, each with what it says.
type Resolved = (PathBuf, Vec<(PathBuf, String)>);

/// Follows links below `root` from `path` on, for the last component and for the
/// directories of the merged /usr. `None`: nothing is there.
fn resolve(root: &Path, path: &Path) -> Result<Option<Resolved>, Error> {
    const LONGEST_CHAIN: usize = 16;
    let mut links = Vec::new();
    let mut current = merged(path);
    for _ in 0..LONGEST_CHAIN {
        let source = root.join(&current);
        let Ok(metadata) = fs::symlink_metadata(&source) else {
            return Ok(None);
        };
        if !metadata.is_symlink() {
            return Ok(Some((current, links)));
        }
        let target = fs::read_link(&source).map_err(Error::file("read the link", &source))?;
        links.push((current.clone(), target.display().to_string()));
        let parent = current.parent().unwrap_or(Path::new(""));
        current = merged(&normal(&parent.join(&target)));
    }
    Err(Error::Link {
        path: path.display().to_string(),
    })
}

/// Resolves `..` by text, and makes the path relative to the root.
fn normal(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::Normal(name) => plain.push(name),
            Component::ParentDir => {
                plain.pop();
            }
            Component::RootDir => plain = PathBuf::new(),
            Component::CurDir | Component::Prefix(_) => {}
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_of_a_plan_stay_inside() {
        for good in ["usr/lib/bastide/init", "dev"] {
            assert!(plain(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "/etc/shadow",
            "usr/../../etc",
            "./usr",
            "usr//lib",
            "usr/",
        ] {
            assert!(plain(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn follows_links_and_remembers_them() {
        let root = tempfile::tempdir().expect("temporary directory");
        let libraries = root.path().join(LIBRARIES);
        fs::create_dir_all(&libraries).expect("directories");
        fs::create_dir_all(root.path().join("usr/lib64")).expect("directories");
        fs::write(libraries.join("libx.so.1.2"), b"x").expect("library");
        symlink("libx.so.1.2", libraries.join("libx.so.1")).expect("link");
        symlink(
            "../lib/x86_64-linux-gnu/libx.so.1",
            root.path().join("usr/lib64/ld.so"),
        )
        .expect("link");
        symlink("round", libraries.join("round")).expect("link");

        let (file, links) = resolve(root.path(), Path::new("lib64/ld.so"))
            .expect("resolvable")
            .expect("present");
        assert_eq!(file, Path::new(LIBRARIES).join("libx.so.1.2"));
        let at: Vec<_> = links
            .iter()
            .map(|(at, _)| at.display().to_string())
            .collect();
        assert_eq!(
            at,
            ["usr/lib64/ld.so", "usr/lib/x86_64-linux-gnu/libx.so.1"]
        );

        let absent = resolve(root.path(), Path::new("lib/none.so")).expect("resolvable");
        assert!(absent.is_none());
        let round = Path::new(LIBRARIES).join("round");
        assert!(resolve(root.path(), &round).is_err());
    }
}
