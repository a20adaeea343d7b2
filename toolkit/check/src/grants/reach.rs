//! What a program can come to: from its own items along the names that they mention.
//!
//! Names are resolved through modules and `use` as far as they lead to items of the
//! tree. What cannot be resolved, such as a method of a value, is taken by its bare
//! name, so that rather too much is reached than too little.

use std::collections::BTreeSet;

use super::asks::{self, Ask};
use super::source::{Belongs, Item, Source};

/// How many `use` may stand behind each other.
const DEPTH: usize = 8;

/// Everything that the program in `source` asks for.
pub(super) fn asks(source: &Source) -> BTreeSet<Ask> {
    let mut found = BTreeSet::new();
    for number in reached(source) {
        let item = &source.items[number];
        let file = &source.modules[item.module].file;
        found.extend(asks::of(&item.mentions, file));
    }
    found
}

/// The items that the program can come to.
fn reached(source: &Source) -> BTreeSet<usize> {
    let mut walk = Walk {
        source,
        reached: BTreeSet::new(),
        names: BTreeSet::new(),
        next: Vec::new(),
    };
    for (number, item) in source.items.iter().enumerate() {
        if source.modules[item.module].is_program {
            walk.reach(number);
        }
    }
    loop {
        while let Some(number) = walk.next.pop() {
            walk.follow(number);
        }
        // Parts of an `impl` come after, when it is known which types are used.
        for (number, item) in source.items.iter().enumerate() {
            if !walk.reached.contains(&number) && walk.runs(item) {
                walk.reach(number);
            }
        }
        if walk.next.is_empty() {
            return walk.reached;
        }
    }
}

struct Walk<'source> {
    source: &'source Source,
    reached: BTreeSet<usize>,
    /// Names that were mentioned without leading to an item: methods, associated
    /// functions, variants.
    names: BTreeSet<&'source str>,
    next: Vec<usize>,
}

impl<'source> Walk<'source> {
    fn reach(&mut self, number: usize) {
        if self.reached.insert(number) {
            self.next.push(number);
        }
    }

    /// Reaches everything that an item mentions.
    fn follow(&mut self, number: usize) {
        let source: &'source Source = self.source;
        let item = &source.items[number];
        self.names
            .extend(item.mentions.members.iter().map(String::as_str));
        for mention in &item.mentions.paths {
            let found = resolve(source, item.module, &mention.path, DEPTH);
            let path = mention.path.iter().map(String::as_str);
            match (found.is_empty(), mention.path.first().map(String::as_str)) {
                // The last name may be of an item's own: `Type::function`.
                (false, _) => self.names.extend(mention.path.last().map(String::as_str)),
                (true, Some("std" | "core" | "alloc")) => {}
                (true, _) => self.names.extend(path),
            }
            for number in found {
                self.reach(number);
            }
        }
    }

    /// Whether a part of an `impl` can run.
    fn runs(&self, item: &Item) -> bool {
        let used = |of: &[String]| {
            let found = resolve(self.source, item.module, of, DEPTH);
            // The type is somebody else's: it may be used anywhere.
            found.is_empty() || found.iter().any(|number| self.reached.contains(number))
        };
        match &item.belongs {
            Belongs::Nowhere => false,
            Belongs::ToTrait(of) => used(of),
            Belongs::ToType(of) => self.names.contains(item.name.as_str()) && used(of),
        }
    }
}

/// The items that a path of names leads to from inside a module; what is behind an item
/// is its own.
fn resolve(source: &Source, module: usize, path: &[String], depth: usize) -> Vec<usize> {
    let Some((first, rest)) = path.split_first() else {
        return Vec::new();
    };
    let here = &source.modules[module];
    let at = |path: &[String]| source.places.get(path).copied();
    match first.as_str() {
        "crate" => {
            let root = here.path.get(..1).unwrap_or_default();
            return at(root).map_or_else(Vec::new, |root| inside(source, root, rest, depth));
        }
        "self" => return inside(source, module, rest, depth),
        "super" => {
            let parent = here.path.split_last().map(|(_, parent)| parent);
            let parent = parent.unwrap_or_default();
            // `super::super` comes by here again.
            return match (at(parent), rest.first().map(String::as_str)) {
                (Some(parent), Some("super")) => resolve(source, parent, rest, depth),
                (Some(parent), _) => inside(source, parent, rest, depth),
                (None, _) => Vec::new(),
            };
        }
        _ => {}
    }
    let found = inside(source, module, path, depth);
    if !found.is_empty() {
        return found;
    }
    at(std::slice::from_ref(first)).map_or_else(Vec::new, |root| inside(source, root, rest, depth))
}

/// The items that a path leads to in a module: its own, those of modules in it, and
/// what it brings in by `use`.
fn inside(source: &Source, module: usize, path: &[String], depth: usize) -> Vec<usize> {
    let (Some((first, rest)), Some(depth)) = (path.split_first(), depth.checked_sub(1)) else {
        return Vec::new();
    };
    let here = &source.modules[module];
    let mut found = here.items.get(first).cloned().unwrap_or_default();
    let below = [here.path.as_slice(), std::slice::from_ref(first)].concat();
    if let Some(below) = source.places.get(&below) {
        found.extend(inside(source, *below, rest, depth));
    }
    for import in here.imports.get(first).into_iter().flatten() {
        let whole = [import.as_slice(), rest].concat();
        // `use x::y` where x is no module here but a crate, and the other way round.
        if whole != path {
            found.extend(resolve(source, module, &whole, depth));
        }
    }
    if found.is_empty() {
        for glob in &here.globs {
            let whole = [glob.as_slice(), path].concat();
            found.extend(resolve(source, module, &whole, depth));
        }
    }
    found
}
