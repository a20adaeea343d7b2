//! The crates linked into a program, as cargo tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Bill, Program, debian_purl, escape, hash, read_json};
use crate::Error;
use crate::dpkg::Package;

/// What of `cargo metadata` is read (format version 1).
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<MetadataPackage>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct MetadataPackage {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    source: Option<String>,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<NodeDependency>,
}

#[derive(Deserialize)]
struct NodeDependency {
    pkg: String,
    dep_kinds: Vec<DependencyKind>,
}

#[derive(Deserialize)]
struct DependencyKind {
    kind: Option<String>,
}

/// What of `Cargo.lock` is read.
#[derive(Deserialize)]
struct Lock {
    package: Vec<LockPackage>,
}

#[derive(Deserialize)]
struct LockPackage {
    name: String,
    version: String,
    checksum: Option<String>,
}

/// A crate: name and version.
type Crate = (String, String);

/// Adds a program, the crates linked into it and the parts of the toolchain, and
/// gives the program's reference.
pub(super) fn program(bill: &mut Bill, program: &Program, version: &str) -> Result<String, Error> {
    let metadata: Metadata = read_json(&program.built.join("metadata.json"))?;
    let checksums = checksums(&program.built.join("Cargo.lock"))?;
    let linked = linked(&program.built.join("linked").join(&program.package))?;

    let reference = format!("bastide:program/{}@{version}", program.package);
    let own = metadata
        .packages
        .iter()
        .find(|package| package.name == program.package)
        .ok_or_else(|| Error::Missing {
            what: format!("crate {}", program.package),
            path: program.built.join("metadata.json"),
        })?;
    let mut described = json!({
        "type": "application",
        "bom-ref": reference,
        "name": program.package,
        "version": version,
        "hashes": [hash(&program.file)?],
    });
    license(&mut described, own);
    bill.add(&reference, described);

    let by_id: BTreeMap<&str, &MetadataPackage> = metadata
        .packages
        .iter()
        .map(|package| (package.id.as_str(), package))
        .collect();
    // The program's own crate is the program.
    let reference_of = |package: &MetadataPackage| {
        if package.name == program.package {
            reference.clone()
        } else {
            cargo_purl(&package.name, &package.version)
        }
    };
    let is_linked = |package: &MetadataPackage| {
        linked.contains(&(package.name.clone(), package.version.clone()))
    };
    for package in metadata
        .packages
        .iter()
        .filter(|package| is_linked(package))
    {
        if package.name != program.package {
            let component = component(package, &checksums)?;
            bill.add(&cargo_purl(&package.name, &package.version), component);
        }
    }
    for node in &metadata.resolve.nodes {
        let Some(from) = by_id.get(node.id.as_str()).filter(|from| is_linked(from)) else {
            continue;
        };
        for dependency in &node.deps {
            let normal = dependency.dep_kinds.iter().any(|kind| kind.kind.is_none());
            let to = by_id.get(dependency.pkg.as_str());
            if let Some(to) = to.filter(|to| normal && is_linked(to)) {
                bill.depends(&reference_of(from), &reference_of(to));
            }
        }
    }
    for package in toolchain(&program.built.join("toolchain"), &program.linked_packages)? {
        let purl = bill.package(&package);
        bill.depends(&reference, &purl);
    }
    Ok(reference)
}

fn component(
    package: &MetadataPackage,
    checksums: &BTreeMap<Crate, Option<String>>,
) -> Result<Value, Error> {
    let purl = cargo_purl(&package.name, &package.version);
    let mut component = json!({
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
    });
    if package.source.is_some() {
        component["purl"] = Value::String(purl);
    }
    license(&mut component, package);
    let locked = checksums
        .get(&(package.name.clone(), package.version.clone()))
        .ok_or_else(|| Error::CrateNotLocked {
            name: package.name.clone(),
            version: package.version.clone(),
        })?;
    if let Some(checksum) = locked {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    Ok(component)
}

/// States the licence that the crate's manifest gives.
fn license(component: &mut Value, package: &MetadataPackage) {
    if let Some(licence) = &package.license {
        // The old way of writing OR.
        let expression = licence.replace('/', " OR ");
        component["licenses"] = json!([{ "expression": expression }]);
    }
}

fn cargo_purl(name: &str, version: &str) -> String {
    format!("pkg:cargo/{}@{}", escape(name), escape(version))
}

fn checksums(path: &Path) -> Result<BTreeMap<Crate, Option<String>>, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let lock: Lock = toml::from_str(&text).map_err(|source| Error::Lock {
        path: path.to_owned(),
        source,
    })?;
    Ok(lock
        .package
        .into_iter()
        .map(|package| ((package.name, package.version), package.checksum))
        .collect())
}

/// Reads what `cargo tree --prefix none` says: `name v1.2.3`, and more that is of
/// no interest, on each line.
fn linked(path: &Path) -> Result<BTreeSet<Crate>, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let crates: BTreeSet<Crate> = text
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let version = words.next()?.strip_prefix('v')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect();
    if crates.is_empty() {
        return Err(Error::Missing {
            what: "the list of linked crates".to_owned(),
            path: path.to_owned(),
        });
    }
    Ok(crates)
}

/// Reads lines of package, version, source package, its version, architecture;
/// gives those whose name is or starts with a wanted one.
fn toolchain(path: &Path, wanted: &[String]) -> Result<Vec<Package>, Error> {
    let text = fs::read_to_string(path).map_err(Error::file("read", path))?;
    let packages: Vec<Package> = text
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [name, version, source, source_version, architecture] = words[..] else {
                return None;
            };
            Some(Package {
                name: name.to_owned(),
                version: version.to_owned(),
                architecture: architecture.to_owned(),
                sha256: None,
                source: source.to_owned(),
                source_version: source_version.to_owned(),
            })
        })
        .collect();
    let mut found = Vec::new();
    for prefix in wanted {
        let mut matching = packages
            .iter()
            .filter(|package| package.name.starts_with(prefix))
            .peekable();
        if matching.peek().is_none() {
            return Err(Error::Missing {
                what: format!("package {prefix}"),
                path: path.to_owned(),
            });
        }
        found.extend(matching.cloned());
    }
    // A purl has one component, so twice would be an error in the bill.
    found.sort_by_key(debian_purl);
    found.dedup();
    Ok(found)
}
