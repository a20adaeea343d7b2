//! Building crates of the tree in a step, from nothing but what they need.
//!
//! Cargo wants the whole workspace. A step gets the sources of the crates it
//! builds and of those they depend on; of all others only the manifest, stripped to
//! what resolution reads. So a change in the toolkit does not build the Core again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bastide_recipe::{Input, SdkName, Source, Step};

use crate::Error;
use crate::error::read;

/// What programs are built for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The Core: optimised, linked with its C library.
    Core,
    /// The initramfs: optimised, with everything in it.
    Initramfs,
    /// A later step of the build: made quickly.
    Tool,
}

/// Vendored crates: the directory and the key that identifies its content.
#[derive(Clone, Debug)]
pub struct VendoredCrates {
    /// The directory `cargo vendor` made.
    pub directory: PathBuf,
    /// What identifies it.
    pub key: String,
}

/// The crates of the tree.
#[derive(Debug)]
pub struct Workspace {
    tree: PathBuf,
    members: BTreeMap<String, Member>,
}

#[derive(Debug)]
struct Member {
    /// `<room>/<crate>`.
    directory: String,
    manifest: toml::Table,
}

/// The sections that decide what is resolved; targets are left out because their
/// files are.
const RESOLVED: [&str; 7] = [
    "package",
    "lints",
    "features",
    "dependencies",
    "dev-dependencies",
    "build-dependencies",
    "target",
];

impl Workspace {
    /// Reads the manifests of the workspace at `tree`.
    ///
    /// # Errors
    /// When one cannot be read or parsed.
    pub fn read(tree: &Path) -> Result<Self, Error> {
        let root = parse(&tree.join("Cargo.toml"))?;
        let patterns = root
            .get("workspace")
            .and_then(|workspace| workspace.get("members"))
            .and_then(toml::Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(toml::Value::as_str);
        let mut members = BTreeMap::new();
        for pattern in patterns {
            for directory in expand(tree, pattern)? {
                let manifest = parse(&tree.join(&directory).join("Cargo.toml"))?;
                let name = manifest
                    .get("package")
                    .and_then(|package| package.get("name"))
                    .and_then(toml::Value::as_str)
                    .unwrap_or_default();
                let name = name.to_owned();
                members.insert(
                    name,
                    Member {
                        directory,
                        manifest,
                    },
                );
            }
        }
        Ok(Self {
            tree: tree.to_owned(),
            members,
        })
    }

    /// The step `name`, which builds the programs of `packages`. Its outputs:
    /// `bin/<program>`, and for the bill of materials `linked/<package>`,
    /// `metadata.json`, `Cargo.lock` and `toolchain`.
    ///
    /// # Errors
    /// When a package is none of the tree.
    pub fn programs(
        &self,
        name: &str,
        packages: &[&str],
        purpose: Purpose,
        crates: &VendoredCrates,
        expected: Duration,
    ) -> Result<Step, Error> {
        let mut inputs = self.inputs(packages)?;
        inputs.push(Input::new(
            "crates",
            Source::Crates(crates.directory.clone(), crates.key.clone()),
        ));
        inputs.push(Input::new(
            "target",
            Source::Cache {
                name: "cargo-target".to_owned(),
            },
        ));
        let programs: Vec<String> = packages
            .iter()
            .map(|package| self.program(package))
            .collect::<Result<_, _>>()?;
        let (profile, linkage) = match purpose {
            Purpose::Core => ("release", "dynamic"),
            Purpose::Initramfs => ("release", "static"),
            Purpose::Tool => ("dev", "dynamic"),
        };
        Ok(Step {
            name: name.to_owned(),
            sdk: SdkName::new("rust"),
            script: include_str!("../steps/programs.sh").to_owned(),
            inputs,
            environment: BTreeMap::from([
                ("PACKAGES".to_owned(), packages.join(" ")),
                ("PROGRAMS".to_owned(), programs.join(" ")),
                ("PROFILE".to_owned(), profile.to_owned()),
                ("LINKAGE".to_owned(), linkage.to_owned()),
            ]),
            expected,
        })
    }

    /// The name of a package's program.
    ///
    /// # Errors
    /// When the package is none of the tree.
    pub fn program(&self, package: &str) -> Result<String, Error> {
        let named = self
            .member(package)?
            .manifest
            .get("bin")
            .and_then(|programs| programs.get(0))
            .and_then(|program| program.get("name"))
            .and_then(toml::Value::as_str);
        Ok(named.unwrap_or(package).to_owned())
    }

    fn member(&self, package: &str) -> Result<&Member, Error> {
        self.members.get(package).ok_or_else(|| Error::NoCrate {
            name: package.to_owned(),
        })
    }

    fn inputs(&self, packages: &[&str]) -> Result<Vec<Input>, Error> {
        let needed = self.needed(packages)?;
        let file = |name: &str| Input::new(name, Source::Path(self.tree.join(name)));
        let mut inputs = vec![file("Cargo.toml"), file("Cargo.lock")];
        for (name, member) in &self.members {
            let place = member.directory.replace('/', ".");
            inputs.push(if needed.contains(name.as_str()) {
                let directory = self.tree.join(&member.directory);
                Input::new(format!("source.{place}"), Source::Path(directory))
            } else {
                let text = stripped(&member.manifest);
                Input::new(
                    format!("manifest.{place}"),
                    Source::Inline(text.into_bytes()),
                )
            });
        }
        Ok(inputs)
    }

    /// The packages and all crates of the tree that they depend on.
    fn needed(&self, packages: &[&str]) -> Result<BTreeSet<&str>, Error> {
        let mut needed = BTreeSet::new();
        let mut wanted: Vec<&str> = packages.to_vec();
        while let Some(name) = wanted.pop() {
            let member = self.member(name)?;
            // Borrowed from the map, so that it lives as long.
            let Some((name, _)) = self.members.get_key_value(name) else {
                continue;
            };
            if !needed.insert(name.as_str()) {
                continue;
            }
            let dependencies = ["dependencies", "build-dependencies", "dev-dependencies"]
                .into_iter()
                .filter_map(|section| member.manifest.get(section)?.as_table())
                .flat_map(toml::Table::keys);
            wanted.extend(
                dependencies
                    .map(String::as_str)
                    .filter(|dependency| self.members.contains_key(*dependency)),
            );
        }
        Ok(needed)
    }
}

/// The directories of a pattern of members: a path, or one ending in `/*`.
fn expand(tree: &Path, pattern: &str) -> Result<Vec<String>, Error> {
    let Some(room) = pattern.strip_suffix("/*") else {
        return Ok(vec![pattern.to_owned()]);
    };
    let directory = tree.join(room);
    let mut found = Vec::new();
    for entry in fs::read_dir(&directory).map_err(Error::file("look into", &directory))? {
        let entry = entry.map_err(Error::file("look into", &directory))?;
        if entry.path().join("Cargo.toml").is_file() {
            found.push(format!("{room}/{}", entry.file_name().to_string_lossy()));
        }
    }
    found.sort();
    Ok(found)
}

fn parse(path: &Path) -> Result<toml::Table, Error> {
    toml::from_str(&read(path)?).map_err(|source| Error::Toml {
        path: path.to_owned(),
        source,
    })
}

fn stripped(manifest: &toml::Table) -> String {
    let mut kept = manifest.clone();
    kept.retain(|section, _| RESOLVED.contains(&section));
    kept.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn workspace() -> Workspace {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        Workspace::read(&tree).expect("the tree's own workspace")
    }

    fn names(step: &Step) -> Vec<&str> {
        step.inputs
            .iter()
            .map(|input| input.name.as_str())
            .collect()
    }

    fn step(packages: &[&str]) -> Step {
        let crates = VendoredCrates {
            directory: PathBuf::from("/nowhere"),
            key: "key".to_owned(),
        };
        let seconds = Duration::from_secs(1);
        workspace()
            .programs("programs", packages, Purpose::Initramfs, &crates, seconds)
            .expect("a step")
    }

    #[test]
    fn a_step_has_the_sources_it_needs_and_no_others() {
        let step = step(&["bastide-initramfs"]);
        let names = names(&step);
        for needed in [
            "source.core.initramfs",
            "source.proto.boot",
            "source.base.verity",
        ] {
            assert!(names.contains(&needed), "{needed} in {names:?}");
        }
        for other in [
            "manifest.toolkit.image",
            "manifest.core.init",
            "manifest.tests.vm",
        ] {
            assert!(names.contains(&other), "{other} in {names:?}");
        }
    }

    #[test]
    fn a_program_is_called_as_its_manifest_says() {
        let workspace = workspace();
        assert_eq!(workspace.program("bastide-init").expect("init"), "init");
        let rootfs = workspace.program("bastide-rootfs").expect("rootfs");
        assert_eq!(rootfs, "bastide-rootfs");
        assert!(workspace.program("bastide-none").is_err());
    }

    #[test]
    fn a_stripped_manifest_names_no_file() {
        let manifest: toml::Table =
            "[package]\nname = \"a\"\n[[bin]]\nname = \"b\"\npath = \"src/b.rs\"\n[dependencies]\nx = \"1\"\n"
                .parse()
                .expect("a manifest");
        let text = stripped(&manifest);
        assert!(
            text.contains("[dependencies]") && !text.contains("src/b.rs"),
            "{text}"
        );
    }
}
