//! `product.toml`, which may extend itself in any way.
#![no_main]

use std::path::PathBuf;

use bastide_config::product::{Definition, Product};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|texts: Vec<String>| {
    let read = |name: &str| {
        let position: usize = name.strip_prefix("sample-")?.parse().ok()?;
        Some(Definition {
            file: PathBuf::from(name),
            text: texts.get(position)?.clone(),
        })
    };
    let _verdict = Product::resolve("sample-0", read);
});
