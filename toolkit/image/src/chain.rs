//! The chain of steps from sources and kernel to everything a product consists of.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bastide_config::product::Product;
use bastide_recipe::{Engine, Input, SdkName, Source, Step, StepOutput};
use bastide_sign::{Signer, steps};

use crate::cargo::{Purpose, VendoredCrates, Workspace};
use crate::core::{CoreDescription, CoreImage};
use crate::error::read;
use crate::materials::Materials;
use crate::plan::{Contents, MODULES_STEP, PROGRAMS_STEP, contents};
use crate::{Error, disk, kernel_bundle, materials, text};

/// What a product is made from.
pub struct Inputs<'a> {
    /// The checkout.
    pub tree: &'a Path,
    /// The product.
    pub product: &'a Product,
    /// The compiled kernel: `bzImage`, `version` (what `uname -r` says), `sign-file`
    /// and `modules/`.
    pub kernel: &'a StepOutput,
    /// What the kernel was compiled from.
    pub kernel_source: &'a KernelSource,
    /// The unpacked Debian packages that the Core may take files from.
    pub packages: &'a UnpackedPackages,
    /// The crates of the lock file.
    pub crates: &'a VendoredCrates,
    /// Who signs.
    pub signer: &'a dyn Signer,
}

/// Unpacked Debian packages.
#[derive(Clone, Debug)]
pub struct UnpackedPackages {
    /// The directory in which all are unpacked together.
    pub directory: PathBuf,
    /// What identifies its content.
    pub key: String,
    /// `files.json` of the set: which file is of which package.
    pub list: PathBuf,
}

/// The Debian package that holds the kernel's source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KernelSource {
    /// Its name.
    pub package: String,
    /// Its version.
    pub version: String,
}

/// Everything a product consists of, where the steps left it: read-only, to be
/// copied.
#[derive(Clone, Debug)]
pub struct Artefacts {
    /// Each artefact by the name it has in `out/<product>/`.
    pub files: BTreeMap<&'static str, PathBuf>,
    /// The Core's root hash, sizes and offsets.
    pub core: CoreDescription,
    /// The signed command line.
    pub command_line: String,
    /// Every step that took part, by name, in the order of running.
    pub steps: Vec<(String, StepOutput)>,
}

/// Makes a product from a compiled kernel and the tree.
///
/// # Errors
/// When a definition is wrong, a step fails or a judge objects.
pub fn build(engine: &Engine, inputs: &Inputs<'_>) -> Result<Artefacts, Error> {
    let &Inputs {
        tree,
        product,
        kernel,
        signer,
        ..
    } = inputs;
    let workspace = Workspace::read(tree)?;
    let release = read(&kernel.directory.join("version"))?.trim().to_owned();
    let mut taken = Vec::new();
    let mut took = |name: &str, output: &StepOutput| taken.push((name.to_owned(), output.clone()));

    let tool = engine.run(&workspace.programs(
        "rootfs-tool",
        &["bastide-rootfs"],
        Purpose::Tool,
        inputs.crates,
        Duration::from_secs(60),
    )?)?;
    took("rootfs-tool", &tool);

    let modules = signed_modules(engine, signer, kernel, &release)?;
    if let Some(modules) = &modules {
        took(MODULES_STEP, modules);
    }
    let contents = contents(
        tree,
        product,
        &workspace,
        modules.as_ref().map(|_| release.as_str()),
    )?;
    let packages: Vec<&str> = contents.packages.iter().map(String::as_str).collect();
    let programs = engine.run(&workspace.programs(
        PROGRAMS_STEP,
        &packages,
        Purpose::Core,
        inputs.crates,
        Duration::from_secs(90),
    )?)?;
    took(PROGRAMS_STEP, &programs);

    let rootfs = compose(
        engine,
        inputs,
        &contents,
        &tool,
        &programs,
        modules.as_ref(),
    )?;
    took("rootfs", &rootfs);
    let core = CoreImage::build(engine, &rootfs)?;
    took("core-image", &core.output);
    let core = core.sign(engine, signer)?;
    took("core-signature", &core.state.signature);

    let command_line =
        text::command_line(product, &core.description.root_hash, core.hash_offset()?)?;
    let initramfs_program = engine.run(&workspace.programs(
        "initramfs-program",
        &["bastide-initramfs"],
        Purpose::Initramfs,
        inputs.crates,
        Duration::from_secs(60),
    )?)?;
    took("initramfs-program", &initramfs_program);
    let program_name = workspace.program("bastide-initramfs")?;
    let bundle = kernel_bundle::build(
        engine,
        signer,
        &kernel_bundle::Parts {
            product,
            kernel,
            release: &release,
            core: &core,
            command_line: &command_line,
            program: &initramfs_program,
            program_name: &program_name,
            tool: &tool,
        },
    )?;
    took("initramfs", &bundle.initramfs);
    took("uki-signed", &bundle.output);
    let boot_loader = kernel_bundle::boot_loader(engine, signer)?;
    took("boot-loader-signed", &boot_loader);

    let disk = disk::compose(engine, tree, product, &core, &boot_loader, &bundle.output)?;
    took("disk", &disk);
    took("disk-check", &disk::check(engine, signer, product, &disk)?);
    let firmware = disk::variable_store(engine, signer)?;
    took("variable-store", &firmware);
    let bill = materials::build(
        engine,
        &Materials {
            product,
            contents: &contents,
            tool: &tool,
            rootfs: &rootfs,
            programs: &programs,
            initramfs_program: &initramfs_program,
            initramfs_program_name: &program_name,
            kernel,
            kernel_source: inputs.kernel_source,
        },
    )?;
    took("sbom", &bill);

    let files = BTreeMap::from([
        ("disk.img", disk.directory.join("disk.img")),
        ("core.img", core.output.directory.join("core.img")),
        ("core.roothash", core.output.directory.join("core.roothash")),
        ("bastide.efi", bundle.output.directory.join("signed.efi")),
        ("OVMF_CODE.fd", firmware.directory.join("OVMF_CODE.fd")),
        ("OVMF_VARS.fd", firmware.directory.join("OVMF_VARS.fd")),
        ("kernel.config", kernel.directory.join("kernel.config")),
        ("sbom.cdx.json", bill.directory.join("sbom.cdx.json")),
        ("origins.json", rootfs.directory.join("origins.json")),
        ("hardening.json", rootfs.directory.join("hardening.json")),
    ]);
    Ok(Artefacts {
        files,
        core: core.description,
        command_line,
        steps: taken,
    })
}

/// Has the kernel's modules signed, if it has any.
fn signed_modules(
    engine: &Engine,
    signer: &dyn Signer,
    kernel: &StepOutput,
    release: &str,
) -> Result<Option<StepOutput>, Error> {
    let directory = kernel
        .directory
        .join("modules/usr/lib/modules")
        .join(release);
    if !holds_modules(&directory)? {
        return Ok(None);
    }
    let step = steps::modules(signer, MODULES_STEP, kernel, "modules");
    Ok(Some(engine.run(&step)?))
}

fn holds_modules(directory: &Path) -> Result<bool, Error> {
    if !directory.is_dir() {
        return Ok(false);
    }
    for entry in fs::read_dir(directory).map_err(Error::file("look into", directory))? {
        let path = entry.map_err(Error::file("look into", directory))?.path();
        let module = path.extension().is_some_and(|extension| extension == "ko");
        if module || (path.is_dir() && holds_modules(&path)?) {
            return Ok(true);
        }
    }
    Ok(false)
}

fn compose(
    engine: &Engine,
    given: &Inputs<'_>,
    contents: &Contents,
    tool: &StepOutput,
    programs: &StepOutput,
    modules: Option<&StepOutput>,
) -> Result<StepOutput, Error> {
    let plan = serde_json::to_vec_pretty(&contents.plan).map_err(|source| Error::Describe {
        what: "the Core",
        source,
    })?;
    let mut inputs = contents.inputs.clone();
    inputs.push(Input::new("plan.json", Source::Inline(plan)));
    inputs.push(Input::new("tool", Source::Output(tool.clone())));
    inputs.push(Input::new("programs", Source::Output(programs.clone())));
    let packages = given.packages;
    inputs.push(Input::new(
        "packages",
        Source::Crates(packages.directory.clone(), packages.key.clone()),
    ));
    inputs.push(Input::new(
        "packages.json",
        Source::Path(packages.list.clone()),
    ));
    if let Some(modules) = modules {
        inputs.push(Input::new("modules", Source::Output(modules.clone())));
    }
    Ok(engine.run(&Step {
        name: "rootfs".to_owned(),
        sdk: SdkName::new("image"),
        script: include_str!("../steps/rootfs.sh").to_owned(),
        inputs,
        environment: BTreeMap::new(),
        expected: Duration::from_secs(2),
    })?)
}
