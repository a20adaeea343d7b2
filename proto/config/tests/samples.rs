//! Every sample of the formats, good and bad. A bad one says on its first line
//! what the error must contain: `# expect: LINE KEY TEXT`.
#![forbid(unsafe_code)]

use std::fs;
use std::path::{Path, PathBuf};

use bastide_config::name::ServiceName;
use bastide_config::problem::Problems;
use bastide_config::product::{Layer, Product};
use bastide_config::service::Service;
use bastide_config::service::agreement::{Scope, disagreements};

fn samples(kind: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("samples")
        .join(kind);
    let mut all: Vec<(PathBuf, String)> = fs::read_dir(&folder)
        .expect("the folder of samples")
        .map(|entry| entry.expect("an entry").path())
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a sample");
            (path, text)
        })
        .collect();
    all.sort();
    assert!(!all.is_empty(), "{}", folder.display());
    all
}

fn service(path: &Path, text: &str) -> Result<Service, Problems> {
    let name = ServiceName::new("sample").expect("a name");
    Service::parse(name, path, text)
}

fn layer(path: &Path, text: &str) -> Result<Layer, Problems> {
    Layer::parse("sample", path, text)
}

fn check_good<T>(kind: &str, parse: impl Fn(&Path, &str) -> Result<T, Problems>) {
    for (path, text) in samples(&format!("{kind}/good")) {
        if let Err(problems) = parse(&path, &text) {
            panic!("refused though good:\n{problems}");
        }
    }
}

fn check_bad<T>(kind: &str, parse: impl Fn(&Path, &str) -> Result<T, Problems>) {
    for (path, text) in samples(&format!("{kind}/bad")) {
        let Err(problems) = parse(&path, &text) else {
            panic!("{} was accepted", path.display());
        };
        let mut expected = 0;
        for comment in text.lines().take_while(|line| line.starts_with('#')) {
            let Some(expectation) = comment.strip_prefix("# expect: ") else {
                continue;
            };
            let mut parts = expectation.splitn(3, ' ');
            let line: usize = parts
                .next()
                .and_then(|line| line.parse().ok())
                .expect("a line");
            let key = parts.next().expect("a key");
            let what = parts.next().expect("a text");
            expected += 1;
            assert!(
                problems.problems.iter().any(|problem| {
                    problem.line == line
                        && (key == "-" || problem.key == key)
                        && problem.what.contains(what)
                }),
                "{}: no `{expectation}` in:\n{problems}",
                path.display()
            );
        }
        assert_eq!(
            expected,
            problems.problems.len(),
            "{}: not as many problems as expected:\n{problems}",
            path.display()
        );
    }
}

#[test]
fn good_services_are_read() {
    check_good("service", service);
}

#[test]
fn bad_services_are_refused_with_line_and_key() {
    check_bad("service", service);
}

#[test]
fn good_products_are_read() {
    check_good("product", layer);
}

#[test]
fn bad_products_are_refused_with_line_and_key() {
    check_bad("product", layer);
}

fn tree() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The products of the tree itself.
fn shipped(name: &str) -> Product {
    Product::resolve(name, |name| {
        let file = PathBuf::from(format!("products/{name}/product.toml"));
        let text = fs::read_to_string(tree().join(&file)).ok()?;
        Some(bastide_config::product::Definition { file, text })
    })
    .unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_products_of_the_tree_resolve() {
    for name in ["base", "workstation", "gateway", "demo"] {
        let product = shipped(name);
        assert_eq!(product.lineage.first().map(String::as_str), Some("base"));
        assert_eq!(product.lineage.last().map(String::as_str), Some(name));
        assert!(!product.instrumented, "{name}");
        assert_eq!(product.demo_notice.is_some(), name == "demo");
    }
}

#[test]
fn the_services_of_the_products_are_defined_and_fit_each_other() {
    for product in ["base", "workstation", "gateway", "demo"].map(shipped) {
        let mut services = Vec::new();
        for name in &product.services {
            let candidates = bastide_config::service::definition_paths(&product.lineage, name);
            let text = candidates
                .iter()
                .find_map(|path| fs::read_to_string(tree().join(path)).ok())
                .unwrap_or_else(|| panic!("{name}: none of {candidates:?}"));
            let service = Service::parse(name.clone(), Path::new(name.as_str()), &text)
                .unwrap_or_else(|problems| panic!("{problems}"));
            for need in &service.needs {
                assert!(product.services.contains(need), "{name} needs {need}");
            }
            services.push(service);
        }
        assert_eq!(disagreements(&services, Scope::Machine), []);
    }
}
