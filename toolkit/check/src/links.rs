//! Links in what people read: every one that stays inside the tree leads to a file.

use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Parser, Tag};

use crate::Unreadable;

/// Every link in a Markdown file of the tree that leads nowhere, as sentences.
///
/// # Errors
/// When a file or directory cannot be read.
pub fn violations(tree: &Path) -> Result<Vec<String>, Unreadable> {
    let mut files = Vec::new();
    documents(tree, &mut files)?;
    files.sort();
    let mut found = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|source| Unreadable {
            path: file.clone(),
            source,
        })?;
        let name = file.strip_prefix(tree).unwrap_or(&file);
        for (line, target) in local_links(&text) {
            let place = file.parent().unwrap_or(tree).join(&target);
            if !resolve(&place).starts_with(tree) {
                found.push(format!(
                    "{}:{line}: {target} leads out of the tree",
                    name.display()
                ));
            } else if !place.exists() {
                found.push(format!("{}:{line}: no file {target}", name.display()));
            }
        }
    }
    Ok(found)
}

/// Collects the Markdown files below `directory`, past what is built or hidden.
fn documents(directory: &Path, into: &mut Vec<PathBuf>) -> Result<(), Unreadable> {
    let fault = |source| Unreadable {
        path: directory.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(directory).map_err(fault)? {
        let entry = entry.map_err(fault)?;
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') || name == "target" || name == "out" {
            continue;
        }
        if entry.file_type().map_err(fault)?.is_dir() {
            documents(&path, into)?;
        } else if name.ends_with(".md") {
            into.push(path);
        }
    }
    Ok(())
}

/// The links of a text that are no URLs and stay in no page, without their anchors; with
/// the line that each is on.
fn local_links(text: &str) -> Vec<(usize, String)> {
    Parser::new(text)
        .into_offset_iter()
        .filter_map(|(event, range)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                let target = dest_url.split('#').next().unwrap_or_default().to_owned();
                let line = text[..range.start].matches('\n').count() + 1;
                (!target.is_empty() && !target.contains(':')).then_some((line, target))
            }
            _ => None,
        })
        .collect()
}

/// Takes `.` and `..` out of an absolute path.
fn resolve(path: &Path) -> PathBuf {
    let mut resolved = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                resolved.pop();
            }
            Component::CurDir => {}
            other => resolved.push(other),
        }
    }
    resolved
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_and_anchors_in_the_page_are_no_local_links() {
        let text = "[a](https://example.org)\n[b](#here)\n[c](d.md#there) `[e](f.md)`";
        assert_eq!(local_links(text), [(3, "d.md".to_owned())]);
    }

    #[test]
    fn links_that_lead_nowhere_are_found() {
        let tree = tempfile::tempdir().unwrap();
        std::fs::create_dir(tree.path().join("docs")).unwrap();
        std::fs::write(tree.path().join("README.md"), "[a](docs/a.md)").unwrap();
        std::fs::write(
            tree.path().join("docs/a.md"),
            "[up](../README.md)\n\n[b](b.md), [out](../../c.md)",
        )
        .unwrap();
        assert_eq!(
            violations(tree.path()).unwrap(),
            [
                "docs/a.md:3: no file b.md",
                "docs/a.md:3: ../../c.md leads out of the tree"
            ]
        );
    }
}
