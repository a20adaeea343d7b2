//! The definitions of the tree: every product and every service is understood, and each
//! service that a product names is defined.

use std::fs;
use std::path::{Path, PathBuf};

use bastide_config::name::ServiceName;
use bastide_config::product::{Definition, Product};
use bastide_config::service::agreement::{Scope, disagreements};
use bastide_config::service::{Service, definition_paths};

use crate::Unreadable;

/// Everything wrong with a definition in the tree, as sentences with file, line and key.
///
/// # Errors
/// When a directory cannot be listed.
pub fn violations(tree: &Path) -> Result<Vec<String>, Unreadable> {
    let mut found = Vec::new();
    let mut understood = Vec::new();
    for program in directories(&tree.join("core"))? {
        let services = directories(&program.join("services"))?;
        for home in services.into_iter().chain([program]) {
            let file = home.join("service.toml");
            if file.exists() {
                match service(tree, &home, &file) {
                    Ok(service) => understood.push(service),
                    Err(problem) => found.push(problem),
                }
            }
        }
    }
    // What does not fit may be due to what was not understood: first things first.
    if found.is_empty() {
        found.extend(misfits(&understood, Scope::Tree));
    }
    for home in directories(&tree.join("products"))? {
        for problem in product(tree, &home) {
            // Products share most of their services.
            if !found.contains(&problem) {
                found.push(problem);
            }
        }
    }
    Ok(found)
}

fn misfits(services: &[Service], scope: Scope) -> impl Iterator<Item = String> {
    disagreements(services, scope).into_iter().map(|problem| {
        let (service, key, what) = (problem.service, problem.key, problem.what);
        format!("service {service}: `{key}`: {what}")
    })
}

fn service(tree: &Path, home: &Path, file: &Path) -> Result<Service, String> {
    let shown = file.strip_prefix(tree).unwrap_or(file);
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    let name = match ServiceName::new(&name) {
        Ok(name) => name,
        Err(why) => return Err(format!("{}: {why}", shown.display())),
    };
    match fs::read_to_string(file) {
        Ok(text) => Service::parse(name, shown, &text).map_err(|problems| problems.to_string()),
        Err(error) => Err(format!("{}: {error}", shown.display())),
    }
}

fn product(tree: &Path, home: &Path) -> Vec<String> {
    let name = home.file_name().unwrap_or_default().to_string_lossy();
    let resolved = Product::resolve(&name, |name| {
        let file = PathBuf::from("products").join(name).join("product.toml");
        let text = fs::read_to_string(tree.join(&file)).ok()?;
        Some(Definition { file, text })
    });
    let product = match resolved {
        Ok(product) => product,
        Err(error) => return vec![error.to_string()],
    };
    let mut found = Vec::new();
    let mut understood = Vec::new();
    for name in &product.services {
        let paths = definition_paths(&product.lineage, name);
        let mut files = paths.iter().map(|path| tree.join(path));
        let Some(file) = files.find(|file| file.is_file()) else {
            found.push(format!(
                "products/{}: nothing defines the service {name}",
                product.name
            ));
            continue;
        };
        match service(tree, file.parent().unwrap_or(tree), &file) {
            Ok(service) => understood.push(service),
            Err(problem) => found.push(problem),
        }
    }
    if found.is_empty() {
        found.extend(misfits(&understood, Scope::Machine));
    }
    found
}

/// The directories in a directory, which need not exist.
fn directories(place: &Path) -> Result<Vec<PathBuf>, Unreadable> {
    let fault = |source| Unreadable {
        path: place.to_owned(),
        source,
    };
    if !place.exists() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(place).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn mistakes_are_found_in_products_and_services() {
        let place = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = place.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let base = fs::read_to_string(tree().join("products/base/product.toml")).unwrap();
        write("products/base/product.toml", &base);
        write(
            "core/lamp/service.toml",
            "version = 1\ndescription = \"Shines\"\nlight = true\n",
        );
        let found = violations(place.path()).unwrap();
        let has = |text: &str| found.iter().any(|problem| problem.contains(text));
        assert!(has("core/lamp/service.toml:3"), "{found:?}");
        assert!(has("nothing defines the service console-"), "{found:?}");
    }

    #[test]
    fn the_services_of_the_tree_fit_each_other() {
        assert_eq!(violations(&tree()).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn services_that_do_not_fit_each_other_are_found() {
        let place = tempfile::tempdir().unwrap();
        let home = place.path().join("core/lamp");
        fs::create_dir_all(&home).unwrap();
        let text = "version = 1\ndescription = \"Shines\"\nprogram = \"/usr/lib/bastide/lamp\"\nuser = \"log\"\nreadiness = \"started\"\n\
                    [[calls]]\ninterface = \"org.bastide.Sun\"\nmethods = [\"Rise\"]\nwhy = \"shines by day as well\"\n\
                    [[system-calls]]\nallow = [\"@base\"]\nwhy = \"shines and does nothing else\"\n";
        fs::write(home.join("service.toml"), text).unwrap();
        let found = violations(place.path()).unwrap();
        assert!(
            found.iter().any(|problem| problem
                == "service lamp: `calls.interface`: org.bastide.Sun is served by no service"),
            "{found:?}"
        );
    }
}
