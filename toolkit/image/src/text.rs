//! The small files that are rendered from the product's definition.

use std::collections::BTreeMap;

use bastide_boot::{CommandLine, HashOffset, release_number};
use bastide_config::product::Product;
use bastide_tpm_policy::{POLICY_REFERENCE, Release, version_suffix};

use crate::Error;

/// `os-release` (see os-release(5)): of the Core and of the UKI, whose boot entry
/// shows `PRETTY_NAME`.
#[must_use]
pub fn os_release(product: &Product) -> String {
    let version = product.display_version();
    let mut lines = vec![
        ("NAME", "Bastide".to_owned()),
        ("ID", "bastide".to_owned()),
        (
            "PRETTY_NAME",
            format!("Bastide {} {version}", product.title),
        ),
        ("VERSION_ID", product.version.clone()),
        ("VARIANT", product.title.clone()),
        ("VARIANT_ID", product.name.clone()),
        ("IMAGE_ID", image_id(product)),
        ("IMAGE_VERSION", version),
        ("VENDOR_NAME", product.branding.vendor.clone()),
    ];
    if let Some(url) = &product.branding.home_url {
        lines.push(("HOME_URL", url.clone()));
    }
    lines
        .into_iter()
        .map(|(key, value)| format!("{key}=\"{}\"\n", escaped(&value)))
        .collect()
}

/// What names the product among images: `bastide-<product>`.
#[must_use]
pub fn image_id(product: &Product) -> String {
    format!("bastide-{}", product.name)
}

/// The file name of the UKI on the ESP.
#[must_use]
pub fn kernel_bundle_name(product: &Product) -> String {
    format!("{}_{}.efi", image_id(product), product.display_version())
}

/// SBAT metadata of the UKI, beside the stub's own: the generation rises when a
/// weakness is found for which older bundles must not boot.
#[must_use]
pub fn sbat(product: &Product) -> String {
    const GENERATION: u32 = 1;
    // Commas separate fields, and nothing escapes them.
    let plain = |text: &str| text.replace([',', '\n'], " ");
    format!(
        "sbat,1,SBAT Version,sbat,1,https://github.com/rhboot/shim/blob/main/SBAT.md\n\
         bastide,{GENERATION},{},{},{},{}\n",
        plain(&product.branding.vendor),
        image_id(product),
        plain(&product.display_version()),
        plain(product.branding.home_url.as_deref().unwrap_or("")),
    )
}

/// The whole kernel command line, as it is signed: consoles, the product's own
/// words, and what says which Core to boot.
///
/// # Errors
/// When the initramfs would refuse it.
pub fn command_line(
    product: &Product,
    root_hash: &str,
    hash_offset: HashOffset,
) -> Result<String, Error> {
    let mut words: Vec<String> = product
        .consoles
        .iter()
        .map(|console| format!("console={console}"))
        .collect();
    words.extend(product.command_line.iter().map(|word| word.word.clone()));
    words.push(format!("bastide.core={root_hash}"));
    words.push(format!("bastide.hash-offset={}", hash_offset.bytes()));
    words.push(format!(
        "bastide.on-failure={}",
        product.on_failure.as_str()
    ));
    words.push(format!(
        "bastide.release={}",
        release_number(&product.version)?
    ));
    words.push(format!(
        "bastide.recovery-key={}",
        product.recovery_key.as_str()
    ));
    let line = words.join(" ");
    match CommandLine::parse(line.as_bytes()) {
        Ok(_) => Ok(line),
        Err(source) => Err(Error::CommandLine { line, source }),
    }
}

/// What the steps need to know of the version counter's policy: `RELEASE`, the number
/// that is signed, `VERSION_POLICY`, what the policy before it is hashed with, and
/// `POLICY_REFERENCE`, the word that it is signed together with.
///
/// # Errors
/// When the product's version has no release number.
pub fn version_policy(product: &Product) -> Result<BTreeMap<String, String>, Error> {
    let release = Release::from_version(&product.version)?;
    Ok(BTreeMap::from([
        ("RELEASE".to_owned(), release.number().to_string()),
        (
            "VERSION_POLICY".to_owned(),
            hex::encode(version_suffix(release)),
        ),
        ("POLICY_REFERENCE".to_owned(), POLICY_REFERENCE.to_owned()),
    ]))
}

fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for character in text.chars() {
        if matches!(character, '"' | '\\' | '$' | '`') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::materials::tests::product;

    #[test]
    fn the_command_line_is_one_that_the_initramfs_takes() {
        let offset = HashOffset::from_bytes(8192).expect("an offset");
        for name in ["base", "demo", "workstation", "gateway"] {
            let line = command_line(&product(name), &"ab".repeat(32), offset).expect(name);
            let parsed = CommandLine::parse(line.as_bytes()).expect("accepted");
            assert_eq!(parsed.hash_offset, offset);
            assert!(line.starts_with("console="), "{line}");
        }
        assert!(command_line(&product("base"), "ab", offset).is_err());
    }

    /// The suffix computed with Python's struct and hashlib from TPM 2.0 Library part 3.
    #[test]
    fn steps_are_told_the_policy_of_the_version() {
        let mut product = product("base");
        product.version = "0.1.0~rc1".to_owned();
        let told = version_policy(&product).expect("a release");
        assert_eq!(told["RELEASE"], "1000");
        assert_eq!(
            told["VERSION_POLICY"],
            "00000149d16757f680758e1c9e073bb27045a51c33407182c663b6c63c1634ba\
             3f96731f000b7fa4080f1b43b12bd716e78688f1fcf0781405aa26f6c311b4f2cfe12f2c9e28"
        );
        assert_eq!(told["POLICY_REFERENCE"], "bastide");
        product.version = "next".to_owned();
        assert!(version_policy(&product).is_err());
    }

    #[test]
    fn values_of_os_release_are_quoted() {
        let mut product = product("demo");
        product.branding.vendor = "A \"B\" $C".to_owned();
        let text = os_release(&product);
        assert!(
            text.contains("VENDOR_NAME=\"A \\\"B\\\" \\$C\"\n"),
            "{text}"
        );
        assert!(text.contains("IMAGE_ID=\"bastide-demo\"\n"), "{text}");
    }

    #[test]
    fn sbat_has_six_fields_whatever_the_vendor_is_called() {
        let mut product = product("demo");
        product.branding.vendor = "A, B and C".to_owned();
        for line in sbat(&product).lines() {
            assert_eq!(line.split(',').count(), 6, "{line}");
        }
    }
}
