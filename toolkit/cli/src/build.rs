//! `./bastide build`: from the tree and its assets to `out/<product>/`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use bastide_assets::Assets;
use bastide_config::product::{Definition, Product};
use bastide_image::{Inputs, KernelSource, UnpackedPackages, VendoredCrates};
use bastide_kernel::Wanted;
use bastide_recipe::{Engine, Variation};
use bastide_sign::KeyDirectory;

use crate::context::Context;
use crate::publish::{self, Artefact, Content};

/// The set of packages (`products/base/sdk/core.toml`) whose files the Core may take.
const CORE_PACKAGES: &str = "core";

/// Arguments of `build`.
#[derive(clap::Args)]
pub struct Arguments {
    /// The product: a directory below products/
    #[arg(long, default_value = "demo")]
    product: String,
    /// Refuse, rather than replace, a package version that is no longer served
    #[arg(long)]
    locked: bool,
}

/// How to build.
#[derive(Debug, Clone)]
pub struct Options {
    /// Refuse, rather than replace, a package version that is no longer served.
    pub locked: bool,
    /// The circumstances under which steps run.
    pub variation: Variation,
    /// Whether steps may keep what only makes them faster (ccache, cargo's target directory).
    pub declared_caches: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            locked: false,
            variation: Variation::default(),
            declared_caches: true,
        }
    }
}

/// A built product.
#[derive(Debug, Clone)]
pub struct Artefacts {
    /// `out/<product>/`.
    pub directory: PathBuf,
    /// The product.
    pub product: Product,
}

/// Builds and says where the result is.
///
/// # Errors
/// When the definition, an asset, a step or a judge of its output is at fault.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    let options = Options {
        locked: arguments.locked,
        ..Options::default()
    };
    let built = build_product(context, &arguments.product, &options)?;
    println!("{}", built.directory.display());
    Ok(ExitCode::SUCCESS)
}

/// Builds a product, or finds that nothing changed, and puts it into `out/<product>/`.
///
/// # Errors
/// When the definition, an asset, a step or a judge of its output is at fault.
pub fn build_product(
    context: &Context,
    name: &str,
    options: &Options,
) -> anyhow::Result<Artefacts> {
    crate::host::require_build(context.yes)?;
    let product = product(&context.tree, name)?;
    let layers: Vec<PathBuf> = product
        .kernel_directories()
        .into_iter()
        .map(|layer| context.tree.join(layer))
        .filter(|layer| layer.is_dir())
        .collect();
    let wanted = Wanted::read(&layers)?;
    let keys = development_keys(context)?;
    let assets = assets(context, options.locked)?;
    let engine = engine(context, &assets, options);
    let (directory, key) = assets.crates()?;
    let crates = VendoredCrates { directory, key };
    let core = assets.files(CORE_PACKAGES)?;
    let packages = UnpackedPackages {
        list: core.directory.with_file_name("files.json"),
        directory: core.directory,
        key: core.key,
    };

    let kernel = bastide_kernel::build(&engine, &wanted)?;
    let made = bastide_image::build(
        &engine,
        &Inputs {
            tree: &context.tree,
            product: &product,
            kernel: &kernel.output,
            kernel_source: &kernel_source(&assets)?,
            packages: &packages,
            crates: &crates,
            signer: &keys,
        },
    )?;

    let mut artefacts: Vec<Artefact> = made
        .files
        .into_iter()
        .map(|(name, path)| Artefact {
            name,
            content: Content::File(path),
        })
        .collect();
    artefacts.push(Artefact {
        name: "cmdline",
        content: Content::Text(made.command_line + "\n"),
    });
    let directory = context.out.join(name);
    publish::publish(
        &directory,
        name,
        &product.display_version(),
        &artefacts,
        &engine.history(),
    )?;
    Ok(Artefacts { directory, product })
}

/// Reads a product's definition and those it extends.
///
/// # Errors
/// Every mistake in them, by file, line and key.
pub fn product(tree: &Path, name: &str) -> anyhow::Result<Product> {
    let product = Product::resolve(name, |name| {
        let file = PathBuf::from("products").join(name).join("product.toml");
        let text = std::fs::read_to_string(tree.join(&file)).ok()?;
        Some(Definition { file, text })
    })?;
    Ok(product)
}

/// The owner's keys; a development set is made for a user who has none yet.
fn development_keys(context: &Context) -> anyhow::Result<KeyDirectory> {
    match KeyDirectory::open(&context.keys) {
        Err(bastide_sign::Error::Absent { .. }) => {
            eprintln!(
                "making a development key set in {}: for trying Bastide, not for machines that \
                 matter (docs/src/own-keys.md)",
                context.keys.display()
            );
            Ok(bastide_sign::create(&context.keys, &context.tree)?)
        }
        found => Ok(found?),
    }
}

/// The assets of the checkout.
///
/// # Errors
/// When the lock or a definition is malformed.
pub fn assets(context: &Context, locked: bool) -> anyhow::Result<Assets> {
    Ok(Assets::open(bastide_assets::Options {
        tree: context.tree.clone(),
        cache: context.cache.clone(),
        mirror: context.mirror.clone(),
        locked,
    })?)
}

/// The engine that runs steps, with this program as the helper that enters the sandbox.
pub fn engine(context: &Context, assets: &Assets, options: &Options) -> Engine {
    // This very program, though another build replace its file meanwhile.
    let helper: Vec<OsString> = vec!["/proc/self/exe".into(), "__sandbox".into()];
    Engine::builder(&context.cache, helper, Box::new(assets.clone()))
        .variation(options.variation.clone())
        .declared_caches(options.declared_caches)
        .build()
}

/// The Debian package that the kernel is compiled from.
fn kernel_source(assets: &Assets) -> anyhow::Result<KernelSource> {
    let lock = assets.lock();
    let found = lock.packages.iter().find(|package| {
        package.sdks.contains("kernel") && package.name.starts_with("linux-source-")
    });
    let package = found.context(
        "bastide.lock has no linux-source package for the kernel SDK; run `./bastide assets relock`",
    )?;
    Ok(KernelSource {
        package: package.name.clone(),
        version: package.version.clone(),
    })
}
