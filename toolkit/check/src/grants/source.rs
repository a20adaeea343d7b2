//! The sources of a program and of the crates of the tree that it uses, as items: what
//! is defined where, and what the tokens of each mention.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use quote::ToTokens;
use syn::{Attribute, ImplItem, Item as SynItem, UseTree};

use super::tokens::Mentions;

/// The largest source read, in bytes: ours are some hundred lines long.
const SIZE_LIMIT: u64 = 4 * 1024 * 1024;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file is not there, or cannot be read.
    #[error("reading {path}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is far larger than any source of ours.
    #[error("{path} is longer than {SIZE_LIMIT} bytes; is it a source?")]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// A file is no Rust.
    #[error("parsing {path}")]
    Parse {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: syn::Error,
    },
    /// A module has no file.
    #[error("{parent}: the module {name} has no file")]
    NoFile {
        /// The file that declares it.
        parent: PathBuf,
        /// The module.
        name: String,
    },
}

/// A crate to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Root {
    /// Its name in code.
    pub name: String,
    /// `main.rs` or `lib.rs`.
    pub file: PathBuf,
    /// Whether it is the program, all of which runs.
    pub is_program: bool,
}

/// What belongs to an `impl`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Belongs {
    /// The item stands for itself.
    Nowhere,
    /// It runs whenever the type is used: part of a trait's implementation.
    ToTrait(Vec<String>),
    /// It runs when the type is used and its name is mentioned.
    ToType(Vec<String>),
}

/// Something that is defined.
#[derive(Debug)]
pub(super) struct Item {
    /// The module that it is in, as a number of [`Source::modules`].
    pub module: usize,
    /// Its name; that of an `impl` is empty.
    pub name: String,
    /// Whether it is a part of an `impl`.
    pub belongs: Belongs,
    /// What its tokens mention.
    pub mentions: Mentions,
}

/// A module.
#[derive(Debug)]
pub(super) struct Module {
    /// Its names, the crate's first.
    pub path: Vec<String>,
    /// The file that it is in, relative to the tree.
    pub file: PathBuf,
    /// Whether it is part of the program itself.
    pub is_program: bool,
    /// Items by name.
    pub items: BTreeMap<String, Vec<usize>>,
    /// What `use` brings: the name here, the path it stands for.
    pub imports: BTreeMap<String, Vec<Vec<String>>>,
    /// What `use …::*` brings.
    pub globs: Vec<Vec<String>>,
}

/// All that was read.
#[derive(Debug, Default)]
pub(super) struct Source {
    /// The modules of all crates.
    pub modules: Vec<Module>,
    /// Where each module is in the list.
    pub places: BTreeMap<Vec<String>, usize>,
    /// Everything defined.
    pub items: Vec<Item>,
}

/// Reads crates, without what is compiled for tests only.
///
/// # Errors
/// When a file is missing, too long or no Rust.
pub(super) fn read(tree: &Path, roots: &[Root]) -> Result<Source, Error> {
    let mut source = Source::default();
    for root in roots {
        // A program and a library of one name are two crates: what names the library
        // means the library.
        let name = match root.is_program {
            true => format!("{}.rs", root.name),
            false => root.name.clone(),
        };
        let directory = root.file.parent().unwrap_or(tree);
        source.file(tree, vec![name], &root.file, directory, root.is_program)?;
    }
    Ok(source)
}

impl Source {
    /// Reads a file as a module; the files of its modules lie in `directory`.
    fn file(
        &mut self,
        tree: &Path,
        path: Vec<String>,
        file: &Path,
        directory: &Path,
        is_program: bool,
    ) -> Result<(), Error> {
        let fault = |source| Error::Read {
            path: file.to_owned(),
            source,
        };
        if std::fs::metadata(file).map_err(fault)?.len() > SIZE_LIMIT {
            return Err(Error::TooLong {
                path: file.to_owned(),
            });
        }
        let text = std::fs::read_to_string(file).map_err(fault)?;
        let parsed = syn::parse_file(&text).map_err(|source| Error::Parse {
            path: file.to_owned(),
            source,
        })?;
        let shown = file.strip_prefix(tree).unwrap_or(file).to_owned();
        self.module(
            tree,
            path,
            (file, &shown),
            directory,
            is_program,
            parsed.items,
        )
    }

    fn module(
        &mut self,
        tree: &Path,
        path: Vec<String>,
        (file, shown): (&Path, &Path),
        directory: &Path,
        is_program: bool,
        items: Vec<SynItem>,
    ) -> Result<(), Error> {
        let place = self.modules.len();
        self.places.insert(path.clone(), place);
        self.modules.push(Module {
            path: path.clone(),
            file: shown.to_owned(),
            is_program,
            items: BTreeMap::new(),
            imports: BTreeMap::new(),
            globs: Vec::new(),
        });
        for item in items {
            if attributes(&item).iter().any(is_for_tests) {
                continue;
            }
            match item {
                SynItem::Mod(module) => {
                    let name = module.ident.to_string();
                    let path = [path.as_slice(), std::slice::from_ref(&name)].concat();
                    let below = directory.join(&name);
                    match module.content {
                        Some((_, items)) => {
                            self.module(tree, path, (file, shown), &below, is_program, items)?;
                        }
                        None => {
                            let places =
                                [directory.join(format!("{name}.rs")), below.join("mod.rs")];
                            let Some(inner) = places.iter().find(|place| place.is_file()) else {
                                return Err(Error::NoFile {
                                    parent: file.to_owned(),
                                    name,
                                });
                            };
                            self.file(tree, path, inner, &below, is_program)?;
                        }
                    }
                }
                SynItem::Use(import) => {
                    self.import(place, &[], &import.tree);
                }
                SynItem::Impl(block) => self.block(place, &block),
                other => {
                    let name = name_of(&other);
                    // A macro that is exported is named by its crate alone.
                    if matches!(&other, SynItem::Macro(_)) && place != self.root(place) {
                        let root = self.root(place);
                        self.add(root, &name, Belongs::Nowhere, &other);
                    }
                    self.add(place, &name, Belongs::Nowhere, &other);
                }
            }
        }
        Ok(())
    }

    /// The module at the top of a module's crate.
    fn root(&self, module: usize) -> usize {
        let path = self.modules[module].path.get(..1).unwrap_or_default();
        self.places.get(path).copied().unwrap_or(module)
    }

    fn add(&mut self, module: usize, name: &str, belongs: Belongs, tokens: &impl ToTokens) {
        let number = self.items.len();
        self.items.push(Item {
            module,
            name: name.to_owned(),
            mentions: Mentions::of(tokens.to_token_stream()),
            belongs: belongs.clone(),
        });
        if belongs == Belongs::Nowhere && !name.is_empty() {
            let items = &mut self.modules[module].items;
            items.entry(name.to_owned()).or_default().push(number);
        }
    }

    /// Takes an `impl` apart, so that a method that nobody calls asks for nothing.
    fn block(&mut self, module: usize, block: &syn::ItemImpl) {
        let of = match &*block.self_ty {
            syn::Type::Path(of) => of.path.segments.iter(),
            _ => return self.add(module, "", Belongs::ToTrait(Vec::new()), block),
        };
        let of: Vec<String> = of.map(|segment| segment.ident.to_string()).collect();
        if block.trait_.is_some() {
            return self.add(module, "", Belongs::ToTrait(of), block);
        }
        for item in &block.items {
            let (attributes, name) = match item {
                ImplItem::Fn(function) => (&function.attrs, function.sig.ident.to_string()),
                ImplItem::Const(constant) => (&constant.attrs, constant.ident.to_string()),
                _ => {
                    self.add(module, "", Belongs::ToTrait(of.clone()), item);
                    continue;
                }
            };
            if !attributes.iter().any(is_for_tests) {
                self.add(module, &name, Belongs::ToType(of.clone()), item);
            }
        }
    }

    fn import(&mut self, module: usize, before: &[String], tree: &UseTree) {
        let with = |name: &syn::Ident| [before, &[name.to_string()]].concat();
        match tree {
            UseTree::Path(path) => self.import(module, &with(&path.ident), &path.tree),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(module, before, tree);
                }
            }
            UseTree::Glob(_) => self.modules[module].globs.push(before.to_vec()),
            UseTree::Name(name) => {
                let (here, path) = match name.ident == "self" {
                    true => (before.last().cloned().unwrap_or_default(), before.to_vec()),
                    false => (name.ident.to_string(), with(&name.ident)),
                };
                let imports = &mut self.modules[module].imports;
                imports.entry(here).or_default().push(path);
            }
            UseTree::Rename(rename) => {
                let path = match rename.ident == "self" {
                    true => before.to_vec(),
                    false => with(&rename.ident),
                };
                let imports = &mut self.modules[module].imports;
                imports
                    .entry(rename.rename.to_string())
                    .or_default()
                    .push(path);
            }
        }
    }
}

/// Whether an attribute leaves the item out of the program: `#[cfg(test)]`, `#[test]`.
fn is_for_tests(attribute: &Attribute) -> bool {
    if attribute.path().is_ident("test") {
        return true;
    }
    let condition = match &attribute.meta {
        syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
        _ => return false,
    };
    condition.trim() == "test"
}

fn attributes(item: &SynItem) -> &[Attribute] {
    match item {
        SynItem::Const(item) => &item.attrs,
        SynItem::Enum(item) => &item.attrs,
        SynItem::Fn(item) => &item.attrs,
        SynItem::Impl(item) => &item.attrs,
        SynItem::Macro(item) => &item.attrs,
        SynItem::Mod(item) => &item.attrs,
        SynItem::Static(item) => &item.attrs,
        SynItem::Struct(item) => &item.attrs,
        SynItem::Trait(item) => &item.attrs,
        SynItem::Type(item) => &item.attrs,
        SynItem::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name_of(item: &SynItem) -> String {
    let name = match item {
        SynItem::Const(item) => &item.ident,
        SynItem::Enum(item) => &item.ident,
        SynItem::Fn(item) => &item.sig.ident,
        SynItem::Macro(item) => match &item.ident {
            Some(name) => name,
            None => return String::new(),
        },
        SynItem::Static(item) => &item.ident,
        SynItem::Struct(item) => &item.ident,
        SynItem::Trait(item) => &item.ident,
        SynItem::TraitAlias(item) => &item.ident,
        SynItem::Type(item) => &item.ident,
        SynItem::Union(item) => &item.ident,
        _ => return String::new(),
    };
    name.to_string()
}
