//! `product.toml`: what is built into an image.
//!
//! A product may extend another. How the two are merged depends on the key, and
//! is the same along a chain of any length, the oldest ancestor first:
//!
//! | key | rule |
//! |---|---|
//! | `product.name`, `title` | each product's own, never inherited |
//! | `product.version`, `boot.on-failure`, `state.recovery-key`, `partitions.*`, `consoles`, `branding.*` | the nearest product that gives it wins |
//! | `instrumented` | sticks: a descendant cannot hide what an ancestor built in |
//! | `demo.notice` | the nearest wins and cannot be removed |
//! | `boot.command-line` | words add up; one with the name of an inherited one (the text before `=`) replaces it in place |
//! | `services`, `packages` | add up; naming one that is inherited already is an error |
//! | kernel fragments | by convention: `products/<name>/kernel` of the whole chain, in order |

mod layer;
mod raw;

use std::collections::BTreeSet;
use std::path::PathBuf;

pub use layer::Layer;

use crate::name::{ServiceName, Why};
use crate::problem::Problems;
use crate::product_info::ProductInfo;

/// The version of the format that this parser reads.
pub const VERSION: i64 = 1;

/// The longest chain of `extends`.
pub const CHAIN_LIMIT: usize = 8;

/// A product with everything it inherits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Product {
    /// Its name: its folder below `products/`.
    pub name: String,
    /// The title shown after the word Bastide.
    pub title: String,
    /// Its release, without the mark of instrumentation: see [`Product::display_version`].
    pub version: String,
    /// Whether it holds means of observation that a product in use must not have.
    pub instrumented: bool,
    /// Shown on every screen when the product is for trying only.
    pub demo_notice: Option<String>,
    /// What the machine does when the boot is refused.
    pub on_failure: OnFailure,
    /// Words of the kernel command line that do not depend on the build.
    pub command_line: Vec<Word>,
    /// The services of the Core, by the names of their folders below `core/`.
    pub services: Vec<ServiceName>,
    /// Debian packages that files of the Core may come from.
    pub packages: Vec<Package>,
    /// Sizes of the partitions.
    pub partitions: Partitions,
    /// What a person must do with the recovery key that the first boot shows.
    pub recovery_key: RecoveryKey,
    /// Values of `console=` in order; the last one is /dev/console.
    pub consoles: Vec<String>,
    /// What os-release says of the vendor.
    pub branding: Branding,
    /// The names along `extends`, the oldest ancestor first, this product last.
    pub lineage: Vec<String>,
}

/// What the machine does when the boot is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Powers off.
    PowerOff,
    /// Keeps the reason on the screen until a key is pressed, then reboots.
    Wait,
}

impl OnFailure {
    /// As it is written in `product.toml` and in `bastide.on-failure=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PowerOff => "power-off",
            Self::Wait => "wait",
        }
    }
}

/// What a person must do with the recovery key that the first boot shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecoveryKey {
    /// Type its last group before the machine goes on, to show that it was written down.
    Confirmed,
    /// Nothing: the machine goes on by itself after a while. For products without
    /// data that anyone would miss.
    Shown,
}

impl RecoveryKey {
    /// As it is written in `product.toml` and in `bastide.recovery-key=`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Shown => "shown",
        }
    }
}

/// A word of the kernel command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Word {
    /// As the kernel reads it.
    pub word: String,
    /// Why it is there.
    pub why: Why,
}

impl Word {
    /// The option's name: the text before `=`.
    #[must_use]
    pub fn option(&self) -> &str {
        self.word.split('=').next().unwrap_or(&self.word)
    }
}

/// A Debian package that the Core takes files from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// The package's name.
    pub name: String,
    /// Why the Core needs it.
    pub why: Why,
}

/// Sizes of the partitions in MiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Partitions {
    /// The EFI system partition.
    pub esp_mib: u32,
    /// Each of the two Core slots.
    pub core_mib: u32,
    /// The encrypted state.
    pub state_mib: u32,
    /// Swap, encrypted anew at each boot.
    pub swap_mib: u32,
}

/// What os-release says of the vendor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Branding {
    /// `VENDOR_NAME`.
    pub vendor: String,
    /// `HOME_URL`, if there is one.
    pub home_url: Option<String>,
}

/// Why a product could not be put together.
#[derive(Debug, thiserror::Error)]
pub enum ProductError {
    /// One of the definitions is wrong.
    #[error(transparent)]
    Definition(#[from] Problems),
    /// There is no such product.
    #[error("there is no product `{name}` (looked for products/{name}/product.toml)")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// `extends` names no product.
    #[error("{file}: `extends`: there is no product `{parent}`")]
    UnknownParent {
        /// The definition that extends it.
        file: PathBuf,
        /// The name it gives.
        parent: String,
    },
    /// `extends` comes back to where it started.
    #[error("`extends` goes in a circle: {}", .chain.join(" -> "))]
    Cycle {
        /// The names along the circle.
        chain: Vec<String>,
    },
    /// `extends` goes on for too long.
    #[error("`extends` is more than {CHAIN_LIMIT} long: {}", .chain.join(" -> "))]
    TooLong {
        /// The names seen so far.
        chain: Vec<String>,
    },
    /// A list repeats what is inherited.
    #[error("{file}: `{key}`: `{item}` is inherited from `{ancestor}` already; remove it here")]
    Repeated {
        /// The definition that repeats it.
        file: PathBuf,
        /// The list.
        key: &'static str,
        /// The item.
        item: String,
        /// Where it comes from.
        ancestor: String,
    },
    /// Nothing along the chain gives a value that every product must have.
    #[error("{file}: `{key}` is given neither here nor by an ancestor")]
    Missing {
        /// The definition of the product asked for.
        file: PathBuf,
        /// The missing key.
        key: &'static str,
    },
}

/// The text of a definition and the path to name in messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// For messages.
    pub file: PathBuf,
    /// The TOML text.
    pub text: String,
}

impl Product {
    /// Puts a product together from its own definition and those it extends,
    /// which `read` hands out by product name (`None`: there is no such product).
    ///
    /// # Errors
    /// When a definition is wrong, a parent unknown, or `extends` goes in a circle.
    pub fn resolve(
        name: &str,
        mut read: impl FnMut(&str) -> Option<Definition>,
    ) -> Result<Self, ProductError> {
        let mut layers: Vec<Layer> = Vec::new();
        let mut next = Some(name.to_owned());
        while let Some(name) = next {
            let chain = || -> Vec<String> {
                let seen = layers.iter().map(|layer| layer.name.clone());
                seen.chain([name.clone()]).collect()
            };
            if layers.iter().any(|layer| layer.name == name) {
                return Err(ProductError::Cycle { chain: chain() });
            }
            if layers.len() == CHAIN_LIMIT {
                return Err(ProductError::TooLong { chain: chain() });
            }
            let Some(definition) = read(&name) else {
                return Err(match layers.last() {
                    None => ProductError::Unknown { name },
                    Some(child) => ProductError::UnknownParent {
                        file: child.file.clone(),
                        parent: name,
                    },
                });
            };
            let layer = Layer::parse(&name, &definition.file, &definition.text)?;
            next = layer.extends.clone();
            layers.push(layer);
        }
        layers.reverse();
        Self::merge(layers)
    }

    /// Merges layers, the oldest ancestor first.
    fn merge(layers: Vec<Layer>) -> Result<Self, ProductError> {
        let Some(own) = layers.last().cloned() else {
            return Err(ProductError::Unknown {
                name: String::new(),
            });
        };
        let missing = |key| ProductError::Missing {
            file: own.file.clone(),
            key,
        };
        let nearest = |pick: &dyn Fn(&Layer) -> Option<u32>| layers.iter().rev().find_map(pick);
        let partitions = Partitions {
            esp_mib: nearest(&|layer| layer.esp_mib).ok_or(missing("partitions.esp-mib"))?,
            core_mib: nearest(&|layer| layer.core_mib).ok_or(missing("partitions.core-mib"))?,
            state_mib: nearest(&|layer| layer.state_mib).ok_or(missing("partitions.state-mib"))?,
            swap_mib: nearest(&|layer| layer.swap_mib).ok_or(missing("partitions.swap-mib"))?,
        };
        let nearest_text =
            |pick: &dyn Fn(&Layer) -> Option<String>| layers.iter().rev().find_map(pick);
        let branding = Branding {
            vendor: nearest_text(&|layer| layer.vendor.clone())
                .ok_or(missing("branding.vendor"))?,
            home_url: nearest_text(&|layer| layer.home_url.clone()),
        };
        let consoles = layers.iter().rev().find_map(|layer| layer.consoles.clone());

        Ok(Self {
            name: own.name.clone(),
            title: own.title.clone(),
            version: nearest_text(&|layer| layer.version.clone())
                .ok_or(missing("product.version"))?,
            instrumented: layers.iter().any(|layer| layer.instrumented),
            demo_notice: nearest_text(&|layer| layer.demo_notice.clone()),
            on_failure: layers
                .iter()
                .rev()
                .find_map(|layer| layer.on_failure)
                .ok_or(missing("boot.on-failure"))?,
            command_line: merge_words(&layers),
            services: add_up(
                &layers,
                "services",
                |layer| &layer.services,
                |name| name.as_str(),
            )?,
            packages: add_up(
                &layers,
                "packages",
                |layer| &layer.packages,
                |package| &package.name,
            )?,
            partitions,
            recovery_key: layers
                .iter()
                .rev()
                .find_map(|layer| layer.recovery_key)
                .ok_or(missing("state.recovery-key"))?,
            consoles: consoles.ok_or(missing("consoles"))?,
            branding,
            lineage: layers.iter().map(|layer| layer.name.clone()).collect(),
        })
    }

    /// The version as every screen shows it: instrumentation cannot be overlooked.
    #[must_use]
    pub fn display_version(&self) -> String {
        if self.instrumented {
            format!("{}+instrumented", self.version)
        } else {
            self.version.clone()
        }
    }

    /// The folders of kernel fragments along the lineage, relative to the tree,
    /// in the order of application; a product need not have one.
    #[must_use]
    pub fn kernel_directories(&self) -> Vec<PathBuf> {
        let folder = |name: &String| PathBuf::from("products").join(name).join("kernel");
        self.lineage.iter().map(folder).collect()
    }

    /// What the Core is told about its product.
    #[must_use]
    pub fn info(&self) -> ProductInfo {
        ProductInfo {
            name: self.name.clone(),
            title: self.title.clone(),
            version: self.display_version(),
            instrumented: self.instrumented,
            demo_notice: self.demo_notice.clone(),
        }
    }
}

fn merge_words(layers: &[Layer]) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    for word in layers.iter().flat_map(|layer| &layer.command_line) {
        match words
            .iter_mut()
            .find(|inherited| inherited.option() == word.option())
        {
            Some(inherited) => *inherited = word.clone(),
            None => words.push(word.clone()),
        }
    }
    words
}

fn add_up<T: Clone>(
    layers: &[Layer],
    key: &'static str,
    list: impl Fn(&Layer) -> &Vec<T>,
    name: impl Fn(&T) -> &str,
) -> Result<Vec<T>, ProductError> {
    let mut all: Vec<(T, String)> = Vec::new();
    let mut names: BTreeSet<String> = BTreeSet::new();
    for layer in layers {
        for item in list(layer) {
            if !names.insert(name(item).to_owned()) {
                let ancestor = all
                    .iter()
                    .find(|(known, _)| name(known) == name(item))
                    .map(|(_, ancestor)| ancestor.clone());
                return Err(ProductError::Repeated {
                    file: layer.file.clone(),
                    key,
                    item: name(item).to_owned(),
                    ancestor: ancestor.unwrap_or_default(),
                });
            }
            all.push((item.clone(), layer.name.clone()));
        }
    }
    Ok(all.into_iter().map(|(item, _)| item).collect())
}
