//! How `extends` merges, and how it fails.
#![forbid(unsafe_code)]

use std::collections::BTreeMap;

use bastide_config::product::{Definition, OnFailure, Product, ProductError};

const BASE: &str = r#"
    version = 1
    services = ["log"]
    consoles = ["tty0"]
    [product]
    name = "base"
    title = "Base"
    version = "1.0"
    [boot]
    on-failure = "power-off"
    [[boot.command-line]]
    word = "loglevel=4"
    why = "only errors are of interest"
    [[boot.command-line]]
    word = "panic=10"
    why = "a dead kernel is a reboot"
    [[packages]]
    name = "libc6"
    why = "the C library of the programs"
    [partitions]
    esp-mib = 1024
    core-mib = 512
    state-mib = 512
    swap-mib = 128
    [state]
    recovery-key = "confirmed"
    [branding]
    vendor = "Bastide"
"#;

fn resolve(name: &str, others: &[(&str, &str)]) -> Result<Product, ProductError> {
    let mut all: BTreeMap<&str, &str> = others.iter().copied().collect();
    all.entry("base").or_insert(BASE);
    Product::resolve(name, |name| {
        all.get(name).map(|text| Definition {
            file: format!("products/{name}/product.toml").into(),
            text: (*text).to_owned(),
        })
    })
}

fn child(name: &str, parent: &str, rest: &str) -> String {
    format!(
        "version = 1\nextends = \"{parent}\"\nproduct.name = \"{name}\"\nproduct.title = \"{name}\"\n{rest}"
    )
}

#[test]
fn the_nearest_value_wins_and_lists_add_up() {
    let middle = child(
        "middle",
        "base",
        r#"
        services = ["net"]
        consoles = ["ttyS0"]
        boot.on-failure = "wait"
        partitions.core-mib = 256
        boot.command-line = [
            { word = "loglevel=7", why = "this one likes to be told everything" },
            { word = "quiet", why = "but not on the console" },
        ]
        "#,
    );
    let leaf = child(
        "leaf",
        "middle",
        "product.version = \"2.0\"\nservices = [\"vpn\"]",
    );
    let product = resolve("leaf", &[("middle", &middle), ("leaf", &leaf)]).expect("a product");
    assert_eq!(product.lineage, ["base", "middle", "leaf"]);
    assert_eq!(product.title, "leaf");
    assert_eq!(product.version, "2.0");
    assert_eq!(product.on_failure, OnFailure::Wait);
    assert_eq!(product.consoles, ["ttyS0"]);
    assert_eq!(
        (product.partitions.esp_mib, product.partitions.core_mib),
        (1024, 256)
    );
    let services: Vec<&str> = product.services.iter().map(|name| name.as_str()).collect();
    assert_eq!(services, ["log", "net", "vpn"]);
    let words: Vec<&str> = product
        .command_line
        .iter()
        .map(|word| word.word.as_str())
        .collect();
    assert_eq!(words, ["loglevel=7", "panic=10", "quiet"]);
    assert_eq!(
        product.kernel_directories(),
        ["base", "middle", "leaf"]
            .map(|name| std::path::PathBuf::from(format!("products/{name}/kernel")))
    );
}

#[test]
fn instrumentation_and_demo_notice_cannot_be_hidden() {
    let middle = child(
        "middle",
        "base",
        "instrumented = true\ninstrumented-why = \"to look into a fault\"\ndemo.notice = \"for trying\"",
    );
    let leaf = child("leaf", "middle", "instrumented = false");
    let product = resolve("leaf", &[("middle", &middle), ("leaf", &leaf)]).expect("a product");
    assert!(product.instrumented);
    assert_eq!(product.display_version(), "1.0+instrumented");
    assert_eq!(product.info().demo_notice.as_deref(), Some("for trying"));
    assert_eq!(product.info().banner(), "Bastide leaf 1.0+instrumented");
}

#[test]
fn a_circle_is_an_error_that_shows_it() {
    let one = child("one", "two", "");
    let two = child("two", "one", "");
    let error = resolve("one", &[("one", &one), ("two", &two)]).expect_err("a circle");
    assert_eq!(
        error.to_string(),
        "`extends` goes in a circle: one -> two -> one"
    );
    let own = child("own", "own", "");
    assert!(matches!(
        resolve("own", &[("own", &own)]),
        Err(ProductError::Cycle { .. })
    ));
}

#[test]
fn a_chain_has_an_end() {
    let chain: Vec<(String, String)> = (0..20)
        .map(|index| {
            let name = format!("p{index}");
            let text = child(&name, &format!("p{}", index + 1), "");
            (name, text)
        })
        .collect();
    let chain: Vec<(&str, &str)> = chain
        .iter()
        .map(|(name, text)| (name.as_str(), text.as_str()))
        .collect();
    assert!(matches!(
        resolve("p0", &chain),
        Err(ProductError::TooLong { .. })
    ));
}

#[test]
fn unknown_products_are_named() {
    let leaf = child("leaf", "nowhere", "");
    let error = resolve("leaf", &[("leaf", &leaf)]).expect_err("no parent");
    assert_eq!(
        error.to_string(),
        "products/leaf/product.toml: `extends`: there is no product `nowhere`"
    );
    assert!(matches!(
        resolve("nothing", &[]),
        Err(ProductError::Unknown { .. })
    ));
}

#[test]
fn repeating_what_is_inherited_is_an_error() {
    let leaf = child("leaf", "base", "services = [\"log\"]");
    let error = resolve("leaf", &[("leaf", &leaf)]).expect_err("repeated");
    assert_eq!(
        error.to_string(),
        "products/leaf/product.toml: `services`: `log` is inherited from `base` already; remove it here"
    );
}

#[test]
fn what_nobody_gives_is_missing() {
    let lonely = "version = 1\nproduct.name = \"lonely\"\nproduct.title = \"Lonely\"";
    assert!(matches!(
        resolve("lonely", &[("lonely", lonely)]),
        Err(ProductError::Missing { .. })
    ));
}
