//! The arrows between rooms: which crate of the tree may depend on which (ARCHITECTURE.md).
//!
//! The rooms are folders; a crate belongs to the room its manifest lies in. What is not allowed
//! here is forbidden, so a new room must be entered before its first crate passes `check`.

use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand, Package};

/// Why the arrows could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// `cargo metadata` failed, as it does for a manifest with a mistake in it.
    #[error("reading the workspace with cargo metadata")]
    Metadata(#[from] cargo_metadata::Error),
}

/// Whether a crate in the folder `from` may depend on a crate in the folder `to`.
///
/// Folders are relative to the checkout, such as `core/init`. Development dependencies follow the
/// same arrows: a test that needs a forbidden room belongs in `tests/vm`.
#[must_use]
pub fn allowed(from: &str, to: &str) -> bool {
    let room = |folder: &str| folder.split('/').next().unwrap_or_default().to_owned();
    match room(from).as_str() {
        "proto" | "fleet" => room(to) == "proto",
        "base" | "core" | "cage" | "desktop" | "installer" => {
            matches!(room(to).as_str(), "base" | "proto")
        }
        "toolkit" => matches!(room(to).as_str(), "base" | "proto" | "toolkit"),
        "tests" => to == "toolkit/vm" || room(to) == "proto",
        "fuzz" => matches!(room(to).as_str(), "base" | "proto"),
        _ => false,
    }
}

/// Every forbidden arrow of the workspace in `tree`, as sentences.
///
/// # Errors
/// [`Error::Metadata`] when cargo cannot read the workspace.
pub fn violations(tree: &Path) -> Result<Vec<String>, Error> {
    let mut found = Vec::new();
    // The fuzz targets are a workspace of their own: they need instrumented builds.
    for manifest in ["Cargo.toml", "fuzz/Cargo.toml"] {
        let metadata = MetadataCommand::new()
            .manifest_path(tree.join(manifest))
            .no_deps()
            .exec()?;
        for package in metadata.workspace_packages() {
            found.extend(forbidden(tree, package));
        }
    }
    Ok(found)
}

/// The forbidden arrows that start at one crate.
fn forbidden(tree: &Path, package: &Package) -> Vec<String> {
    let folder = |path: &Path| {
        path.strip_prefix(tree)
            .unwrap_or(path)
            .display()
            .to_string()
    };
    let Some(home) = package.manifest_path.parent() else {
        return Vec::new();
    };
    let from = folder(home.as_std_path());
    let local = package.dependencies.iter().filter_map(|dependency| {
        Some((
            dependency.kind,
            folder(dependency.path.as_ref()?.as_std_path()),
        ))
    });
    local
        .filter(|(_, to)| !allowed(&from, to))
        .map(|(kind, to)| {
            let kind = match kind {
                DependencyKind::Development => " (in tests)",
                DependencyKind::Build => " (in its build script)",
                _ => "",
            };
            format!("{from} depends on {to}{kind}: that arrow is not allowed; see ARCHITECTURE.md")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn daemons_stand_on_mechanisms_and_formats_only() {
        assert!(allowed("core/init", "base/mount"));
        assert!(allowed("core/init", "proto/config"));
        assert!(!allowed("core/init", "core/console"));
        assert!(!allowed("core/init", "toolkit/vm"));
    }

    #[test]
    fn formats_know_nothing_but_formats() {
        assert!(allowed("proto/ipc", "proto/config"));
        assert!(!allowed("proto/ipc", "base/sys"));
    }

    #[test]
    fn scenarios_see_the_machine_from_outside() {
        assert!(allowed("tests/vm", "toolkit/vm"));
        assert!(!allowed("tests/vm", "toolkit/image"));
        assert!(!allowed("tests/vm", "core/init"));
    }

    #[test]
    fn an_unknown_room_may_do_nothing() {
        assert!(!allowed("helpers/misc", "proto/config"));
    }
}
