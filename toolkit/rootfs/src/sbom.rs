//! The bill of materials: CycloneDX 1.6 in JSON (ECMA-424).
//!
//! What is in the product: Debian packages that files of the Core come from, our
//! programs with the crates linked into each, the kernel, the boot loader and the
//! stub, and who depends on whom.

mod crates;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Error;
use crate::dpkg::{Package, installed};
use crate::origins::{Kind, Origin, Origins};

/// What the bill is made from: written by the toolkit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Request {
    /// Name of the product, as in `bastide-demo`.
    pub product: String,
    /// Its version.
    pub version: String,
    /// Who makes it.
    pub vendor: String,
    /// `origins.json`.
    pub origins: PathBuf,
    /// Our programs.
    pub programs: Vec<Program>,
    /// What is shipped outside of the Core from packages of the root file system
    /// that the tool is given: boot loader and stub.
    pub from_packages: Vec<FromPackage>,
    /// What the toolkit describes itself: the kernel.
    pub others: Vec<Other>,
}

/// A program of ours, and what its build step said about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Program {
    /// Its crate.
    pub package: String,
    /// The output directory of the step: `metadata.json`, `Cargo.lock`,
    /// `toolchain` and `linked/<crate>`.
    pub built: PathBuf,
    /// The file.
    pub file: PathBuf,
    /// Packages of the toolchain whose code is linked in, as prefixes of names.
    pub linked_packages: Vec<String>,
}

/// A file that is shipped as a package has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct FromPackage {
    /// What it is called in the bill.
    pub name: String,
    /// The package.
    pub package: String,
    /// The file, as the package has it.
    pub file: PathBuf,
}

/// Something else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Other {
    /// CycloneDX component type.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// Its package URL.
    pub purl: String,
    /// SPDX licence expression.
    pub licence: String,
    /// The file.
    pub file: PathBuf,
}

/// Components and their dependencies, by reference.
#[derive(Default)]
struct Bill {
    components: BTreeMap<String, Value>,
    dependencies: BTreeMap<String, BTreeSet<String>>,
}

impl Bill {
    fn add(&mut self, reference: &str, component: Value) {
        self.components.insert(reference.to_owned(), component);
        self.dependencies.entry(reference.to_owned()).or_default();
    }

    fn depends(&mut self, from: &str, to: &str) {
        self.dependencies
            .entry(from.to_owned())
            .or_default()
            .insert(to.to_owned());
    }

    fn package(&mut self, package: &Package) -> String {
        let purl = debian_purl(package);
        let mut component = json!({
            "type": "library",
            "bom-ref": purl,
            "supplier": { "name": "Debian" },
            "name": package.name,
            "version": package.version,
            "purl": purl,
            "properties": [
                { "name": "bastide:source-package", "value": package.source },
                { "name": "bastide:source-version", "value": package.source_version },
            ],
        });
        if let Some(sha256) = &package.sha256 {
            component["hashes"] = json!([{ "alg": "SHA-256", "content": sha256 }]);
        }
        self.add(&purl, component);
        purl
    }
}

/// Makes the bill, stating `timestamp` (RFC 3339); `packages` is the Debian root file
/// system of the step.
///
/// # Errors
/// When something it names cannot be read or is not described.
pub fn write(request: &Request, timestamp: &str, packages: &Path) -> Result<Value, Error> {
    let installed = installed(packages)?;
    let origins: Origins = read_json(&request.origins)?;
    let mut bill = Bill::default();
    let product = format!("bastide:product/{}@{}", request.product, request.version);
    bill.dependencies.entry(product.clone()).or_default();

    let mut core_packages = BTreeSet::new();
    for entry in &origins.entries {
        if let (Kind::File { .. }, Origin::Package(package)) = (&entry.kind, &entry.origin) {
            core_packages.insert(package.clone());
        }
    }
    let core_packages: Vec<String> = core_packages
        .iter()
        .map(|package| bill.package(package))
        .collect();
    for purl in &core_packages {
        bill.depends(&product, purl);
    }
    for program in &request.programs {
        let reference = crates::program(&mut bill, program, &request.version)?;
        bill.depends(&product, &reference);
        // What is linked statically says so itself; the rest runs on the Core's C library.
        if program
            .linked_packages
            .iter()
            .all(|name| name != "libc6-dev")
        {
            for purl in &core_packages {
                bill.depends(&reference, purl);
            }
        }
    }
    for shipped in &request.from_packages {
        let package = installed
            .get(&shipped.package)
            .ok_or_else(|| Error::Missing {
                what: format!("package {}", shipped.package),
                path: packages.to_owned(),
            })?;
        let purl = bill.package(package);
        let reference = format!("bastide:file/{}", shipped.name);
        bill.add(
            &reference,
            json!({
                "type": "application",
                "bom-ref": reference,
                "name": shipped.name,
                "version": package.version,
                "hashes": [hash(&shipped.file)?],
            }),
        );
        bill.depends(&reference, &purl);
        bill.depends(&product, &reference);
    }
    for other in &request.others {
        bill.add(
            &other.purl,
            json!({
                "type": other.kind,
                "bom-ref": other.purl,
                "name": other.name,
                "version": other.version,
                "purl": other.purl,
                "licenses": [{ "expression": other.licence }],
                "hashes": [hash(&other.file)?],
            }),
        );
        bill.depends(&product, &other.purl);
    }
    Ok(document(request, timestamp, &product, bill))
}

fn document(request: &Request, timestamp: &str, product: &str, bill: Bill) -> Value {
    let dependencies: Vec<Value> = bill
        .dependencies
        .iter()
        .map(|(reference, on)| json!({ "ref": reference, "dependsOn": on }))
        .collect();
    let mut document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": timestamp,
            "tools": { "components": [{
                "type": "application",
                "name": "bastide-rootfs",
                "version": env!("CARGO_PKG_VERSION"),
            }] },
            "component": {
                "type": "operating-system",
                "bom-ref": product,
                "supplier": { "name": request.vendor },
                "name": request.product,
                "version": request.version,
            },
        },
        "components": bill.components.into_values().collect::<Vec<_>>(),
        "dependencies": dependencies,
    });
    // The serial number names exactly this content.
    let digest = Sha256::digest(document.to_string().as_bytes());
    document["serialNumber"] = Value::String(format!("urn:uuid:{}", uuid_of(&digest)));
    document
}

/// A UUID of version 8 (RFC 9562) from a digest.
fn uuid_of(digest: &[u8]) -> String {
    let text = hex::encode(digest);
    format!(
        "{}-{}-8{}-8{}-{}",
        &text[0..8],
        &text[8..12],
        &text[13..16],
        &text[17..20],
        &text[20..32]
    )
}

fn debian_purl(package: &Package) -> String {
    format!(
        "pkg:deb/debian/{}@{}?arch={}",
        escape(&package.name),
        escape(&package.version),
        package.architecture
    )
}

/// The package URL of a source that Debian ships in a binary package.
#[must_use]
pub fn debian_source_purl(package: &str, version: &str) -> String {
    format!(
        "pkg:deb/debian/{}@{}?arch=all",
        escape(package),
        escape(version)
    )
}

/// A time in seconds since 1970 in the form of RFC 3339, in UTC.
#[must_use]
pub fn epoch_timestamp(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Civil date from days since 1970 in eras of 400 years (Hinnant's algorithm).
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        rest / 3_600,
        rest / 60 % 60,
        rest % 60
    )
}

/// Percent-encodes what a package URL does not take as it is.
fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b".-_~:".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            escaped.push_str(&format!("%{byte:02X}"));
        }
    }
    escaped
}

fn hash(file: &Path) -> Result<Value, Error> {
    let content = fs::read(file).map_err(Error::file("read", file))?;
    Ok(json!({ "alg": "SHA-256", "content": hex::encode(Sha256::digest(&content)) }))
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let content = fs::read(path).map_err(Error::file("read", path))?;
    serde_json::from_slice(&content).map_err(|source| Error::Json {
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn package_urls_are_escaped() {
        let package = Package {
            name: "libstdc++6".to_owned(),
            version: "1:14.2.0-19+b1".to_owned(),
            architecture: "amd64".to_owned(),
            source: String::new(),
            source_version: String::new(),
            sha256: None,
        };
        assert_eq!(
            debian_purl(&package),
            "pkg:deb/debian/libstdc%2B%2B6@1:14.2.0-19%2Bb1?arch=amd64"
        );
    }

    #[test]
    fn times_are_those_of_date() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_767_225_600, "2026-01-01T00:00:00Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
        ] {
            assert_eq!(epoch_timestamp(seconds), text);
        }
    }

    #[test]
    fn the_serial_number_follows_the_content() {
        let request = |version: &str| Request {
            product: "bastide-demo".to_owned(),
            version: version.to_owned(),
            vendor: "Bastide".to_owned(),
            origins: PathBuf::new(),
            programs: Vec::new(),
            from_packages: Vec::new(),
            others: Vec::new(),
        };
        let serial = |version| {
            document(
                &request(version),
                "2026-01-01T00:00:00Z",
                "p",
                Bill::default(),
            )["serialNumber"]
                .clone()
        };
        assert_eq!(serial("1"), serial("1"));
        assert_ne!(serial("1"), serial("2"));
        assert_eq!(serial("1").as_str().map(str::len), Some(9 + 36));
    }
}
