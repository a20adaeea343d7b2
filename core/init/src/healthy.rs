//! The newest release that was seen healthy, written down for the next boot: the initramfs
//! then lets no older one open the state.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use bastide_boot::release_number;
use bastide_config::product_info::{PATH, ProductInfo};

/// Where the initramfs looks; below the state.
const DIRECTORY: &str = "/var/lib/bastide";
const NAME: &str = "healthy-release";

/// Writes this release down. Whole or not at all: a new file takes the old one's place.
/// It is not waited for until it is on the disk; the next boot writes it again.
///
/// # Errors
/// The release is unknown, or the state cannot be written.
pub fn write_down() -> Result<()> {
    let product = fs::read_to_string(PATH).with_context(|| format!("cannot read {PATH}"))?;
    let product =
        ProductInfo::from_json(&product).with_context(|| format!("{PATH} is malformed"))?;
    let release = release_number(&product.version)?;
    let directory = Path::new(DIRECTORY);
    fs::create_dir_all(directory).with_context(|| format!("cannot make {DIRECTORY}"))?;
    let (new, kept) = (directory.join(".new"), directory.join(NAME));
    fs::write(&new, format!("{release}\n"))
        .and_then(|()| fs::rename(&new, &kept))
        .with_context(|| format!("cannot write {}", kept.display()))
}
