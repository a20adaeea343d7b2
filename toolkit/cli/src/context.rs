//! Where things are: checkout, cache, keys, output. Found once, handed to every subcommand.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

use crate::Global;

/// The places and answers every subcommand works with. All paths are absolute.
#[derive(Debug, Clone)]
pub struct Context {
    /// The checkout: the directory that holds `bastide.lock` and `products/`.
    pub tree: PathBuf,
    /// Assets, SDKs and step outputs, kept outside the checkout so that every checkout shares them.
    pub cache: PathBuf,
    /// The owner's keys.
    pub keys: PathBuf,
    /// Where built products go, one directory each.
    pub out: PathBuf,
    /// Whether questions are answered with yes.
    pub yes: bool,
    /// The Debian mirror to use instead of the host's own.
    pub mirror: Option<String>,
}

impl Context {
    /// Finds the checkout from `BASTIDE_TREE` (set by the `./bastide` script) or from the current
    /// directory upwards, and the user's directories by the XDG Base Directory Specification.
    ///
    /// # Errors
    /// When no checkout is found or neither `HOME` nor the XDG variables are set.
    pub fn new(global: &Global) -> anyhow::Result<Self> {
        let here = std::env::current_dir().context("reading the current directory")?;
        let tree = match std::env::var_os("BASTIDE_TREE") {
            Some(tree) => PathBuf::from(tree),
            None => find_tree(&here)?,
        };
        let absolute = |path: &Path| here.join(path);
        Ok(Self {
            cache: user_directory("XDG_CACHE_HOME", ".cache")?.join("bastide"),
            keys: match &global.keys {
                Some(directory) => absolute(directory),
                None => user_directory("XDG_DATA_HOME", ".local/share")?.join("bastide/keys"),
            },
            out: match &global.out {
                Some(directory) => absolute(directory),
                None => tree.join("out"),
            },
            tree,
            yes: global.yes,
            mirror: global.mirror.clone(),
        })
    }
}

/// The nearest directory upwards that is a Bastide checkout.
fn find_tree(start: &Path) -> anyhow::Result<PathBuf> {
    start
        .ancestors()
        .find(|directory| {
            directory.join("products/base").is_dir() && directory.join("Cargo.toml").is_file()
        })
        .map(Path::to_path_buf)
        .with_context(|| {
            format!(
                "{} is not inside a Bastide checkout; change into one",
                start.display()
            )
        })
}

/// A directory by the XDG Base Directory Specification, which ignores relative values.
fn user_directory(variable: &str, below_home: &str) -> anyhow::Result<PathBuf> {
    if let Some(value) = std::env::var_os(variable).map(PathBuf::from)
        && value.is_absolute()
    {
        return Ok(value);
    }
    let home = std::env::var_os("HOME")
        .with_context(|| format!("neither {variable} nor HOME is set; set one of them"))?;
    Ok(PathBuf::from(home).join(below_home))
}
