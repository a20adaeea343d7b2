//! The book of `docs/`, made by mdbook, and the spelling of what people read.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use bastide_recipe::{Input, SdkName, Source, Step};

use crate::build::{self, Options};
use crate::context::Context;

/// Makes the book and links `out/book` to it.
///
/// # Errors
/// When a page is missing or a word is misspelt, which the step's last lines name.
pub fn make(context: &Context) -> anyhow::Result<PathBuf> {
    crate::host::require_build(context.yes)?;
    let options = Options::default();
    let assets = build::assets(context, options.locked)?;
    let engine = build::engine(context, &assets, &options);
    let made = engine.run(&step(context)?)?;
    std::fs::create_dir_all(&context.out)
        .with_context(|| format!("making {}", context.out.display()))?;
    let book = context.out.join("book");
    let fault = || format!("making {}", book.display());
    match std::fs::remove_file(&book) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(fault),
        _ => {}
    }
    symlink(&made.directory, &book).with_context(fault)?;
    Ok(book)
}

fn step(context: &Context) -> anyhow::Result<Step> {
    let mut inputs = vec![Input::new("docs", Source::Path(context.tree.join("docs")))];
    let tree = &context.tree;
    for entry in std::fs::read_dir(tree).with_context(|| format!("reading {}", tree.display()))? {
        let path = entry
            .with_context(|| format!("reading {}", tree.display()))?
            .path();
        if path.extension().is_some_and(|extension| extension == "md")
            && let Some(name) = path.file_name()
        {
            let name = format!("text-{}", name.to_string_lossy());
            inputs.push(Input::new(name, Source::Path(path)));
        }
    }
    inputs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Step {
        name: "book".into(),
        sdk: SdkName::new("docs"),
        script: include_str!("../steps/book.sh").into(),
        inputs,
        environment: BTreeMap::new(),
        expected: Duration::from_secs(5),
    })
}
