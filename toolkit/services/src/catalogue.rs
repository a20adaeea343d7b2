//! The services of a product, or of all products, read from the tree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bastide_config::name::ServiceName;
use bastide_config::problem::Problems;
use bastide_config::product::{Definition, Product, ProductError};
use bastide_config::service::{Service, definition_paths};

/// Why services could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The product is wrong, or there is none.
    #[error(transparent)]
    Product(#[from] ProductError),
    /// A definition is wrong.
    #[error(transparent)]
    Service(#[from] Problems),
    /// A product names a service that nothing defines.
    #[error("products/{product}: nothing defines the service {service}; looked for {}", .looked.display())]
    Undefined {
        /// The product.
        product: String,
        /// The service.
        service: ServiceName,
        /// The most usual place of a definition.
        looked: PathBuf,
    },
    /// A file or directory of the tree cannot be read.
    #[error("reading {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A service and where it is defined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Defined {
    /// What it is and may do.
    pub service: Service,
    /// Its definition, relative to the checkout.
    pub file: PathBuf,
}

/// The services of one product, by name.
///
/// # Errors
/// When the product or a definition is wrong or cannot be read.
pub fn of_product(tree: &Path, product: &str) -> Result<Vec<Defined>, Error> {
    services(tree, &resolve(tree, product)?)
}

/// The services of every product of the tree that somebody may use, by name, each with
/// the products that have it. Instrumented products are for the test bench alone.
///
/// # Errors
/// As [`of_product`], and when the products cannot be listed.
pub fn of_all(tree: &Path) -> Result<Vec<(Defined, BTreeSet<String>)>, Error> {
    let mut found: BTreeMap<_, (Defined, BTreeSet<String>)> = BTreeMap::new();
    for name in products(tree)? {
        let product = resolve(tree, &name)?;
        if product.instrumented {
            continue;
        }
        for defined in services(tree, &product)? {
            // A product may have a definition of its own.
            let one = (defined.service.name.clone(), defined.file.clone());
            let (_, products) = found
                .entry(one)
                .or_insert_with(|| (defined, BTreeSet::new()));
            products.insert(name.clone());
        }
    }
    Ok(found.into_values().collect())
}

fn resolve(tree: &Path, product: &str) -> Result<Product, Error> {
    let resolved = Product::resolve(product, |name| {
        let file = PathBuf::from("products").join(name).join("product.toml");
        let text = fs::read_to_string(tree.join(&file)).ok()?;
        Some(Definition { file, text })
    })?;
    Ok(resolved)
}

fn services(tree: &Path, product: &Product) -> Result<Vec<Defined>, Error> {
    let names: BTreeSet<&ServiceName> = product.services.iter().collect();
    names
        .into_iter()
        .map(|name| read(tree, product, name))
        .collect()
}

/// The names of all products of the tree.
///
/// # Errors
/// When `products/` cannot be listed.
pub fn products(tree: &Path) -> Result<BTreeSet<String>, Error> {
    let place = tree.join("products");
    let fault = |source| Error::Read {
        path: place.clone(),
        source,
    };
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(&place).map_err(fault)? {
        let path = entry.map_err(fault)?.path();
        if path.join("product.toml").is_file()
            && let Some(name) = path.file_name()
        {
            found.insert(name.to_string_lossy().into_owned());
        }
    }
    Ok(found)
}

fn read(tree: &Path, product: &Product, name: &ServiceName) -> Result<Defined, Error> {
    let places = definition_paths(&product.lineage, name);
    let Some(file) = places.iter().find(|path| tree.join(path).is_file()) else {
        return Err(Error::Undefined {
            product: product.name.clone(),
            looked: places
                .get(product.lineage.len())
                .cloned()
                .unwrap_or_default(),
            service: name.clone(),
        });
    };
    let path = tree.join(file);
    let text = fs::read_to_string(&path).map_err(|source| Error::Read { path, source })?;
    Ok(Defined {
        service: Service::parse(name.clone(), file, &text)?,
        file: file.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
    }

    #[test]
    fn services_come_from_the_whole_chain_of_a_product() {
        let names: Vec<String> = of_product(&tree(), "demo")
            .unwrap()
            .into_iter()
            .map(|defined| defined.service.name.to_string())
            .collect();
        assert!(names.contains(&"console-serial".to_owned()), "{names:?}");
        assert!(names.is_sorted());
    }

    #[test]
    fn a_service_of_several_products_is_there_once() {
        let all = of_all(&tree()).unwrap();
        let serial: Vec<_> = all
            .iter()
            .filter(|(defined, _)| defined.service.name.as_str() == "console-serial")
            .collect();
        assert_eq!(serial.len(), 1);
        assert!(serial[0].1.contains("gateway") && serial[0].1.contains("demo"));
        let products = all.iter().flat_map(|(_, products)| products);
        assert!(
            products
                .clone()
                .all(|name| name != "trial" && name != "later")
        );
    }

    #[test]
    fn an_unknown_product_is_an_error_that_names_it() {
        let error = of_product(&tree(), "none").unwrap_err();
        assert!(error.to_string().contains("no product `none`"), "{error}");
    }
}
