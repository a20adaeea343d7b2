//! What goes into the Core: written by the toolkit, read by `bastide-rootfs`.

use serde::{Deserialize, Serialize};

use crate::hardening::Exception;

/// What goes into the Core. Paths inside it have no leading slash.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// Our own programs.
    pub programs: Vec<Program>,
    /// Files that are data.
    pub files: Vec<PlannedFile>,
    /// Empty directories: mount points.
    pub directories: Vec<String>,
    /// Symbolic links.
    pub links: Vec<PlannedLink>,
    /// Kernel modules, if the product has any.
    pub modules: Option<Modules>,
    /// Packages whose files may be taken.
    pub packages: Vec<String>,
    /// ELF files that cannot have a hardening property, and why.
    pub exceptions: Vec<Exception>,
}

/// A program of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Program {
    /// Where the step finds it.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// The crate it is built from.
    pub package: String,
    /// The step that built it.
    pub step: String,
}

/// A data file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlannedFile {
    /// Where the step finds it.
    pub from: String,
    /// Where it goes.
    pub to: String,
    /// Where it came from.
    pub origin: DataOrigin,
}

/// Where a data file came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub enum DataOrigin {
    /// A file of the source tree, by its path there.
    Tree(String),
    /// Rendered by the toolkit from the file of that name.
    Rendered(String),
}

/// A symbolic link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PlannedLink {
    /// Where it lies.
    pub at: String,
    /// Where it leads.
    pub to: String,
}

/// Kernel modules.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Modules {
    /// The directory where the step finds them.
    pub from: String,
    /// Where it goes: `usr/lib/modules/<release>`.
    pub to: String,
    /// The step that signed them.
    pub step: String,
}
