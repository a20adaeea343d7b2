//! Puts what a build made into `out/<product>/`, with `build.json` that describes it.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use bastide_recipe::{StepOutput, sha256_of_file};
use serde::{Deserialize, Serialize};

/// A file that a build leaves in `out/<product>/`.
#[derive(Debug, Clone)]
pub struct Artefact {
    /// Its name there.
    pub name: &'static str,
    /// What is in it.
    pub content: Content,
}

/// What an artefact consists of.
#[derive(Debug, Clone)]
pub enum Content {
    /// A file among the outputs of a step, whose path says what it is made from.
    File(PathBuf),
    /// A text of the toolkit's.
    Text(String),
}

impl Content {
    /// What decides whether an artefact is the same as before.
    fn identity(&self) -> String {
        match self {
            Self::File(path) => path.display().to_string(),
            Self::Text(text) => text.trim_end().to_owned(),
        }
    }
}

/// `build.json`: what was built, from what, and how long each step took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Record {
    /// The product's name.
    pub product: String,
    /// Its version, as the status page shows it.
    pub version: String,
    /// Every artefact, in the order built.
    pub artefacts: Vec<Published>,
    /// Every step, in the order run.
    pub steps: Vec<StepRecord>,
}

/// An artefact as it lies in `out/<product>/`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Published {
    /// File name.
    pub name: String,
    /// SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// Size in bytes.
    pub size: u64,
    /// Where it came from: a step's output in the cache, or the text itself.
    pub from: String,
}

/// A step of the build, as the engine's `step.json` tells.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct StepRecord {
    /// Its name.
    pub name: String,
    /// Its key.
    pub key: String,
    /// How long it ran when its output was made, in seconds.
    pub seconds: f64,
    /// The most memory its processes had at once, in bytes.
    pub peak_memory: u64,
}

impl StepRecord {
    fn of(output: &StepOutput) -> anyhow::Result<Self> {
        let path = output.directory.with_file_name("step.json");
        let text = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_slice(&text).with_context(|| format!("understanding {}", path.display()))
    }
}

/// Name of the record.
const RECORD: &str = "build.json";

/// Places the artefacts in `directory`, unless they are there already.
///
/// Files are hard links into the cache where both are on one file system, which is why they are
/// read-only; elsewhere they are copies with the same holes.
///
/// # Errors
/// When a file cannot be linked, copied, read or written.
pub fn publish(
    directory: &Path,
    product: &str,
    version: &str,
    artefacts: &[Artefact],
    steps: &[StepOutput],
) -> anyhow::Result<()> {
    if is_published(directory, product, version, artefacts) {
        return Ok(());
    }
    fs::create_dir_all(directory).with_context(|| format!("making {}", directory.display()))?;
    // While files change there is no record, so that an interrupted build is not taken for done.
    remove(&directory.join(RECORD))?;
    let mut published = Vec::new();
    for artefact in artefacts {
        let target = directory.join(artefact.name);
        place(&artefact.content, &target)?;
        published.push(Published {
            name: artefact.name.to_owned(),
            sha256: sha256_of_file(&target)?,
            size: fs::metadata(&target)
                .with_context(|| format!("reading {}", target.display()))?
                .len(),
            from: artefact.content.identity(),
        });
    }
    let record = Record {
        product: product.to_owned(),
        version: version.to_owned(),
        artefacts: published,
        steps: steps
            .iter()
            .map(StepRecord::of)
            .collect::<anyhow::Result<_>>()?,
    };
    let text = serde_json::to_string_pretty(&record).context("writing build.json")?;
    let path = directory.join(RECORD);
    fs::write(&path, text + "\n").with_context(|| format!("writing {}", path.display()))
}

/// The record of `directory`, when there is a readable one.
pub fn record(directory: &Path) -> Option<Record> {
    serde_json::from_slice(&fs::read(directory.join(RECORD)).ok()?).ok()
}

fn is_published(directory: &Path, product: &str, version: &str, artefacts: &[Artefact]) -> bool {
    let Some(record) = record(directory) else {
        return false;
    };
    let same = |(published, artefact): (&Published, &Artefact)| {
        published.name == artefact.name
            && published.from == artefact.content.identity()
            && fs::metadata(directory.join(artefact.name))
                .is_ok_and(|metadata| metadata.len() == published.size)
    };
    record.product == product
        && record.version == version
        && record.artefacts.len() == artefacts.len()
        && record.artefacts.iter().zip(artefacts).all(same)
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("removing {}", path.display()))
        }
        _ => Ok(()),
    }
}

fn place(content: &Content, target: &Path) -> anyhow::Result<()> {
    remove(target)?;
    let source = match content {
        Content::File(source) => source,
        Content::Text(text) => {
            return fs::write(target, text)
                .with_context(|| format!("writing {}", target.display()));
        }
    };
    match fs::hard_link(source, target) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::CrossesDevices => {
            copy_sparse(source, target)
        }
        Err(error) => Err(error)
            .with_context(|| format!("linking {} to {}", target.display(), source.display())),
    }
}

/// Copies a file, leaving a hole wherever a whole chunk is zero.
fn copy_sparse(source: &Path, target: &Path) -> anyhow::Result<()> {
    const CHUNK: usize = 1 << 20;
    let context = || format!("copying {} to {}", source.display(), target.display());
    let mut from = File::open(source).with_context(context)?;
    let mut to = File::create(target).with_context(context)?;
    let length = from.metadata().with_context(context)?.len();
    let mut chunk = vec![0; CHUNK];
    let mut copied = 0;
    loop {
        let count = from.read(&mut chunk).with_context(context)?;
        if count == 0 {
            break;
        }
        let bytes = &chunk[..count];
        if bytes.iter().all(|byte| *byte == 0) {
            to.seek(SeekFrom::Current(count as i64))
                .with_context(context)?;
        } else {
            to.write_all(bytes).with_context(context)?;
        }
        copied += count as u64;
    }
    ensure!(
        copied == length,
        "{} changed while it was copied",
        source.display()
    );
    to.set_len(length).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::copy_sparse;

    #[test]
    fn a_copy_has_the_same_bytes_holes_included() {
        let directory = tempfile::tempdir().expect("a directory");
        let (source, target) = (directory.path().join("a"), directory.path().join("b"));
        let mut bytes = vec![0_u8; 5 << 20];
        bytes[3 << 20] = 7;
        std::fs::write(&source, &bytes).expect("written");
        copy_sparse(&source, &target).expect("copied");
        assert_eq!(std::fs::read(&target).expect("read"), bytes);
    }
}
