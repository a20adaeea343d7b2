//! What a product asks of its kernel.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::definition::{self, Entry, Grammar, Group, Location, Mistake};
use crate::option::{OptionName, Value};

/// The file holding the name of the structure layout.
const LAYOUT: &str = "layout";
/// The file listing what must be off.
const PROHIBITIONS: &str = "forbidden.options";
/// The file listing the hardening checker's known findings.
const EXCEPTIONS: &str = "hardening-exceptions.options";
/// The ending of files holding requests.
const REQUESTS: &str = "config";
/// The folder of patches to the kernel's source.
const PATCHES: &str = "patches";

/// An option that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What it shall be.
    pub value: Value,
    /// Why.
    pub reason: String,
    /// Where that is written.
    pub at: Location,
}

/// An option that must not be on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prohibition {
    /// Why not.
    pub reason: String,
    /// Where that is written.
    pub at: Location,
}

/// A finding of the hardening checker that is accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The option.
    pub name: OptionName,
    /// The value that the checker would like, when it looks at the option for
    /// several.
    pub desired: Option<String>,
    /// Why it is accepted and what makes up for it.
    pub reason: String,
    /// Where that is written.
    pub at: Location,
}

/// Why a definition cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The files say something that cannot be.
    #[error("the kernel's definition has mistakes:\n{}", lines(.0))]
    Mistakes(Vec<Mistake>),
    /// No layer names the structure layout.
    #[error(
        "no file named `{LAYOUT}` beside the kernel fragments; it holds the name that the structure layout is derived from"
    )]
    NoLayout,
}

/// One line for each item.
fn lines(items: &[Mistake]) -> String {
    let items: Vec<_> = items.iter().map(|item| format!("  {item}")).collect();
    items.join("\n")
}

/// The kernel that a product wants: the layers of its definition put together.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    requests: BTreeMap<OptionName, Request>,
    prohibitions: BTreeMap<OptionName, Prohibition>,
    exceptions: Vec<Exception>,
    patches: Vec<PathBuf>,
    layout: String,
}

impl Wanted {
    /// Reads the folders `layers`, the most basic product's first.
    ///
    /// A later layer may add options; to change one it must say `override`, so
    /// that nobody weakens an earlier layer without meaning to.
    ///
    /// # Errors
    /// When a folder cannot be read, and with every mistake found in the files.
    pub fn read(layers: &[PathBuf]) -> Result<Self, Error> {
        let mut wanted = Self::default();
        let mut mistakes = Vec::new();
        for layer in layers {
            wanted.add(layer, &mut mistakes)?;
        }
        wanted.compare(&mut mistakes);
        if !mistakes.is_empty() {
            return Err(Error::Mistakes(mistakes));
        }
        if wanted.layout.is_empty() {
            return Err(Error::NoLayout);
        }
        Ok(wanted)
    }

    /// The options asked for.
    pub fn requests(&self) -> &BTreeMap<OptionName, Request> {
        &self.requests
    }

    /// The options that must be off.
    pub fn prohibitions(&self) -> &BTreeMap<OptionName, Prohibition> {
        &self.prohibitions
    }

    /// The accepted findings of the hardening checker.
    pub fn exceptions(&self) -> &[Exception] {
        &self.exceptions
    }

    /// The patches to the source, in the order in which they apply.
    pub fn patches(&self) -> &[PathBuf] {
        &self.patches
    }

    /// The name that the structure layout is derived from.
    pub fn layout(&self) -> &str {
        &self.layout
    }

    /// The requests as a fragment for the kernel's own tools.
    pub fn fragment(&self) -> String {
        let mut text = String::new();
        for (name, request) in &self.requests {
            match request.value {
                Value::No => writeln!(text, "# {name} is not set"),
                _ => writeln!(text, "{name}={}", request.value),
            }
            .expect("writing to a string");
        }
        text
    }

    /// Adds what the files of one folder say.
    fn add(&mut self, layer: &Path, mistakes: &mut Vec<Mistake>) -> Result<(), Error> {
        let mut layer_requests = BTreeMap::new();
        for path in files(layer)? {
            let name = path.file_name().unwrap_or_default();
            if path.extension().is_some_and(|ending| ending == REQUESTS) {
                for group in groups(&path, Grammar::Requests, mistakes)? {
                    for entry in group.entries {
                        self.request(&group.reason, entry, &mut layer_requests, mistakes);
                    }
                }
            } else if name == PROHIBITIONS {
                for group in groups(&path, Grammar::Prohibitions, mistakes)? {
                    for entry in group.entries {
                        self.prohibit(&group.reason, entry, mistakes);
                    }
                }
            } else if name == EXCEPTIONS {
                for group in groups(&path, Grammar::Exceptions, mistakes)? {
                    let accepted = group.entries.into_iter().map(|entry| Exception {
                        name: entry.name,
                        desired: entry.value,
                        reason: group.reason.clone(),
                        at: entry.at,
                    });
                    self.exceptions.extend(accepted);
                }
            } else if name == LAYOUT {
                let text = read(&path)?;
                let mut meaningful = text.lines().filter(|line| !line.starts_with('#'));
                self.layout = meaningful.next().unwrap_or_default().trim().to_owned();
            } else if name == PATCHES {
                let patches = files(&path)?;
                self.patches.extend(patches);
            } else {
                mistakes.push(Mistake {
                    at: Location {
                        file: path.clone(),
                        line: 1,
                    },
                    what: format!(
                        "not a part of a kernel definition; those are *.{REQUESTS}, {PROHIBITIONS}, {EXCEPTIONS}, {LAYOUT} and {PATCHES}/"
                    ),
                });
            }
        }
        Ok(())
    }

    /// Adds one request of a layer of which `layer_requests` is already known.
    fn request(
        &mut self,
        reason: &str,
        entry: Entry,
        layer_requests: &mut BTreeMap<OptionName, Location>,
        mistakes: &mut Vec<Mistake>,
    ) {
        let Some(value) = entry.value.as_deref().and_then(Value::parse) else {
            return; // the parser has said so
        };
        let earlier = self.requests.get(&entry.name);
        let mistake = match (layer_requests.get(&entry.name), earlier, entry.overrides) {
            (Some(at), _, _) => Some(format!("{} is already at {at}", entry.name)),
            (None, Some(earlier), false) => Some(format!(
                "{} is already at {}; write `override {}={value}` if this product means to change it",
                entry.name, earlier.at, entry.name
            )),
            (None, Some(earlier), true) if earlier.value == value => Some(format!(
                "{} is already {value} at {}; nothing to override",
                entry.name, earlier.at
            )),
            (None, None, true) if !self.prohibitions.contains_key(&entry.name) => Some(format!(
                "no earlier layer speaks of {}; nothing to override",
                entry.name
            )),
            _ => None,
        };
        if let Some(what) = mistake {
            mistakes.push(Mistake { at: entry.at, what });
            return;
        }
        if entry.overrides && value.is_on() {
            self.prohibitions.remove(&entry.name);
        }
        layer_requests.insert(entry.name.clone(), entry.at.clone());
        let request = Request {
            value,
            reason: reason.to_owned(),
            at: entry.at,
        };
        self.requests.insert(entry.name, request);
    }

    /// Adds one prohibition.
    fn prohibit(&mut self, reason: &str, entry: Entry, mistakes: &mut Vec<Mistake>) {
        if let Some(earlier) = self.prohibitions.get(&entry.name) {
            mistakes.push(Mistake {
                what: format!("{} is already at {}", entry.name, earlier.at),
                at: entry.at,
            });
            return;
        }
        let prohibition = Prohibition {
            reason: reason.to_owned(),
            at: entry.at,
        };
        self.prohibitions.insert(entry.name, prohibition);
    }

    /// Finds what is both asked for and forbidden.
    fn compare(&self, mistakes: &mut Vec<Mistake>) {
        for (name, request) in &self.requests {
            if let Some(prohibition) = self.prohibitions.get(name)
                && request.value.is_on()
            {
                mistakes.push(Mistake {
                    at: request.at.clone(),
                    what: format!(
                        "{name} is forbidden at {} ({})",
                        prohibition.at, prohibition.reason
                    ),
                });
            }
        }
    }
}

/// The entries of a folder by name, without hidden ones and editors' copies.
fn files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read {
        path: folder.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if !name.starts_with('.') && !name.ends_with('~') {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

/// The text of a file.
fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|source| Error::Read {
        path: path.to_owned(),
        source,
    })
}

/// The groups of a file.
fn groups(path: &Path, grammar: Grammar, mistakes: &mut Vec<Mistake>) -> Result<Vec<Group>, Error> {
    Ok(definition::parse(&read(path)?, path, grammar, mistakes))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folders `tests/<name>` of this crate.
    fn samples(names: &[&str]) -> Vec<PathBuf> {
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        names.iter().map(|name| tests.join(name)).collect()
    }

    fn name(text: &str) -> OptionName {
        OptionName::parse(text).unwrap()
    }

    #[test]
    fn layers_add_up() {
        let wanted = Wanted::read(&samples(&["good/base", "good/product"])).unwrap();
        assert_eq!(wanted.requests()[&name("CONFIG_NET")].value, Value::Yes);
        assert_eq!(
            wanted.requests()[&name("CONFIG_HZ")].value,
            Value::Number("1000".into())
        );
        assert_eq!(
            wanted.requests()[&name("CONFIG_HZ")].reason,
            "This product is in a hurry."
        );
        assert!(!wanted.prohibitions().contains_key(&name("CONFIG_LKDTM")));
        assert!(wanted.prohibitions().contains_key(&name("CONFIG_DEVMEM")));
        assert_eq!(wanted.layout(), "product-1");
        assert_eq!(wanted.patches().len(), 1);
        assert_eq!(
            wanted.fragment(),
            "# CONFIG_FB is not set\nCONFIG_HZ=1000\nCONFIG_LKDTM=y\nCONFIG_LSM=\"lockdown,bpf\"\nCONFIG_NET=y\nCONFIG_NVME=m\n"
        );
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (layers, expected) in [
            (
                &["bad/duplicate"][..],
                "b.config:2: CONFIG_NET is already at",
            ),
            (
                &["bad/forbidden"],
                "a.config:2: CONFIG_DEVMEM is forbidden at",
            ),
            (
                &["bad/stranger"],
                "notes.txt:1: not a part of a kernel definition",
            ),
            (
                &["good/base", "bad/silent"],
                "a.config:2: CONFIG_HZ is already at",
            ),
            (&["good/base", "bad/same"], "nothing to override"),
            (&["bad/alone"], "no earlier layer speaks of CONFIG_HZ"),
            (&["bad/no-layout"], "no file named `layout`"),
            (&["bad/missing"], "cannot read"),
        ] {
            let error = Wanted::read(&samples(layers)).unwrap_err().to_string();
            assert!(error.contains(expected), "{layers:?}: {error}");
        }
    }

    #[test]
    fn the_base_definition_is_sound() {
        let base = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../products/base/kernel");
        let wanted = Wanted::read(&[base]).unwrap_or_else(|error| panic!("{error}"));
        assert!(wanted.requests().len() > 300);
        assert!(wanted.prohibitions().len() > 100);
    }
}
