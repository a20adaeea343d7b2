//! The bill of materials of a product.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bastide_config::product::Product;
use bastide_recipe::{Engine, Input, SdkName, Source, Step, StepOutput};
use bastide_rootfs::sbom::{FromPackage, Other, Program, Request};

use crate::Error;
use crate::chain::KernelSource;
use crate::plan::Contents;
use crate::text;

/// What the bill is made from.
pub(crate) struct Materials<'a> {
    pub product: &'a Product,
    pub contents: &'a Contents,
    pub tool: &'a StepOutput,
    pub rootfs: &'a StepOutput,
    pub programs: &'a StepOutput,
    pub initramfs_program: &'a StepOutput,
    pub initramfs_program_name: &'a str,
    pub kernel: &'a StepOutput,
    pub kernel_source: &'a KernelSource,
}

/// Writes `sbom.cdx.json`.
pub(crate) fn build(engine: &Engine, materials: &Materials<'_>) -> Result<StepOutput, Error> {
    let request =
        serde_json::to_vec_pretty(&request(materials)).map_err(|source| Error::Describe {
            what: "the bill of materials",
            source,
        })?;
    let output = |name: &str, output: &StepOutput| Input::new(name, Source::Output(output.clone()));
    Ok(engine.run(&Step {
        name: "sbom".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/sbom.sh").to_owned(),
        inputs: vec![
            Input::new("request.json", Source::Inline(request)),
            output("tool", materials.tool),
            output("rootfs", materials.rootfs),
            output("programs", materials.programs),
            output("initramfs-program", materials.initramfs_program),
            output("kernel", materials.kernel),
        ],
        environment: BTreeMap::new(),
        expected: Duration::from_secs(1),
    })?)
}

fn request(materials: &Materials<'_>) -> Request {
    // The standard library is in every program; the unwinder too, see programs.sh.
    let linked = |more: &[&str]| -> Vec<String> {
        ["libstd-rust-dev", "libgcc-"]
            .iter()
            .chain(more)
            .map(|name| (*name).to_owned())
            .collect()
    };
    let mut programs: Vec<Program> = materials
        .contents
        .plan
        .programs
        .iter()
        .map(|program| Program {
            package: program.package.clone(),
            built: PathBuf::from("/in/programs"),
            file: PathBuf::from(&program.from),
            linked_packages: linked(&[]),
        })
        .collect();
    programs.push(Program {
        package: "bastide-initramfs".to_owned(),
        built: PathBuf::from("/in/initramfs-program"),
        file: PathBuf::from("/in/initramfs-program/bin").join(materials.initramfs_program_name),
        linked_packages: linked(&["libc6-dev"]),
    });
    let boot = |name: &str, file: &str| FromPackage {
        name: name.to_owned(),
        package: "systemd-boot-efi".to_owned(),
        file: PathBuf::from("/usr/lib/systemd/boot/efi").join(file),
    };
    let source = materials.kernel_source;
    Request {
        product: text::image_id(materials.product),
        version: materials.product.display_version(),
        vendor: materials.product.branding.vendor.clone(),
        origins: PathBuf::from("/in/rootfs/origins.json"),
        programs,
        from_packages: vec![
            boot("systemd-boot", "systemd-bootx64.efi"),
            boot("systemd-stub", "linuxx64.efi.stub"),
        ],
        others: vec![Other {
            kind: "operating-system".to_owned(),
            name: "linux".to_owned(),
            version: source.version.clone(),
            purl: bastide_rootfs::sbom::debian_source_purl(&source.package, &source.version),
            licence: "GPL-2.0-only WITH Linux-syscall-note".to_owned(),
            file: PathBuf::from("/in/kernel/bzImage"),
        }],
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bastide_config::product::{Definition, Product};

    /// A product of the tree.
    pub(crate) fn product(name: &str) -> Product {
        let products = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../products");
        Product::resolve(name, |name| {
            let file = products.join(name).join("product.toml");
            let text = std::fs::read_to_string(&file).ok()?;
            Some(Definition { file, text })
        })
        .expect("a product of the tree")
    }
}
