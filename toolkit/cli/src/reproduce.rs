//! `./bastide reproduce`: builds twice from nothing, under different circumstances, and compares
//! every artefact bit for bit.

use std::io::ErrorKind;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context as _;
use bastide_recipe::Variation;

use crate::build::{self, Artefacts, Options};
use crate::context::Context;
use crate::publish;

/// Arguments of `reproduce`.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// The product to build twice
    #[arg(long, default_value = "demo")]
    product: String,
    /// Refuse, rather than replace, a package version that is no longer served
    #[arg(long)]
    locked: bool,
    /// Take the kernel from the cache, where it was built: tries only what comes after it
    #[arg(long)]
    cached_kernel: bool,
    /// Keep both builds when they are the same, too
    #[arg(long)]
    keep: bool,
}

/// What two builds made of one artefact.
#[derive(Debug, PartialEq)]
struct Difference {
    name: String,
    first: Option<String>,
    second: Option<String>,
}

/// Builds twice, prints a line for each artefact, and runs diffoscope on what differs.
///
/// # Errors
/// When a build fails or a directory cannot be made.
pub fn run(arguments: &Arguments, context: &Context) -> anyhow::Result<ExitCode> {
    let workshop = context.out.join("reproduce");
    // Left by a run that was stopped before its verdict. What its builds finished was
    // made under these circumstances and from nothing, and is kept by the hash of all it
    // was made from: going on with it shows the same.
    let unfinished = workshop.join("unfinished");
    let circumstances = format!("{arguments:?} {:?}", variations());
    let resume = std::fs::read_to_string(&unfinished).is_ok_and(|left| left == circumstances);
    if !resume {
        crate::clean::remove(&workshop)?;
    }
    std::fs::create_dir_all(&workshop)
        .and_then(|()| std::fs::write(&unfinished, circumstances))
        .with_context(|| format!("writing {}", unfinished.display()))?;
    let mut builds = Vec::new();
    for (name, variation) in variations() {
        let how = if resume { "going on" } else { "from nothing" };
        eprintln!("build {} of 2: {name}, {how}", builds.len() + 1);
        let place = workshop.join(name);
        builds.push(build_in(&place, context, arguments, variation)?);
    }
    let [first, second] = &builds[..] else {
        anyhow::bail!("two builds were asked for, {} were made", builds.len());
    };
    let records = [first, second].map(|build| publish::record(&build.directory));
    let [Some(first_record), Some(second_record)] = records else {
        anyhow::bail!("a build left no build.json; this is a fault of the toolkit");
    };
    let differences = compare(&first_record, &second_record);
    std::fs::remove_file(&unfinished)
        .with_context(|| format!("removing {}", unfinished.display()))?;
    for artefact in &first_record.artefacts {
        let same = differences
            .iter()
            .all(|difference| difference.name != artefact.name);
        let verdict = if same { "same" } else { "DIFFERS" };
        println!("{:<20} {verdict:<8} {}", artefact.name, artefact.sha256);
    }
    if differences.is_empty() {
        println!(
            "{} artefacts are the same bits in both builds",
            first_record.artefacts.len()
        );
        if !arguments.keep {
            crate::clean::remove(&workshop)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    crate::host::require(&[crate::host::DIFFERENCES], context.yes)?;
    for difference in &differences {
        explain(
            &first.directory,
            &second.directory,
            &difference.name,
            &workshop,
        )?;
    }
    eprintln!(
        "bastide: {} of {} artefacts differ; both builds and diffoscope's reports are in {}",
        differences.len(),
        first_record.artefacts.len(),
        workshop.display()
    );
    Ok(ExitCode::FAILURE)
}

/// The two circumstances: as unlike as a build may meet them.
fn variations() -> [(&'static str, Variation); 2] {
    let usual = Variation::default();
    let unusual = Variation {
        time_zone: "Pacific/Kiritimati".into(),
        locale: "C".into(),
        umask: 0o077,
        host_name: "another-builder".into(),
        // Without a space, which the kernel's makefiles refuse in a path.
        work: PathBuf::from("/tmp/elsewhere/a-longer-way"),
        user: 1000,
        jobs: usual.jobs + 1,
        reorder: true,
    };
    [("as-usual", usual), ("otherwise", unusual)]
}

/// Builds in a cache of its own, which shares nothing but downloaded assets with the user's.
fn build_in(
    place: &Path,
    context: &Context,
    arguments: &Arguments,
    variation: Variation,
) -> anyhow::Result<Artefacts> {
    let cache = place.join("cache");
    std::fs::create_dir_all(&cache).with_context(|| format!("making {}", cache.display()))?;
    for shared in ["assets", "crates", "adapted"] {
        let from = context.cache.join(shared);
        let to = cache.join(shared);
        if from.exists() && !to.is_symlink() {
            symlink(&from, &to).with_context(|| format!("linking {}", to.display()))?;
        }
    }
    if arguments.cached_kernel {
        link_kernels(&context.cache, &cache)?;
    }
    let context = Context {
        cache,
        out: place.join("out"),
        ..context.clone()
    };
    build::build_product(
        &context,
        &arguments.product,
        &Options {
            locked: arguments.locked,
            variation,
            declared_caches: false,
        },
    )
}

/// Links the kernels of one cache, with their configurations, into another.
fn link_kernels(from: &Path, to: &Path) -> anyhow::Result<()> {
    let (from, to) = (from.join("steps"), to.join("steps"));
    std::fs::create_dir_all(&to).with_context(|| format!("making {}", to.display()))?;
    let entries = match std::fs::read_dir(&from) {
        // Nothing is built yet.
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(|| format!("reading {}", from.display()))?,
    };
    for entry in entries {
        let entry = entry.with_context(|| format!("reading {}", from.display()))?;
        if is_kernel(&entry.file_name().to_string_lossy()) {
            let to = to.join(entry.file_name());
            if !to.exists() {
                symlink(entry.path(), &to).with_context(|| format!("linking {}", to.display()))?;
            }
        }
    }
    Ok(())
}

/// Whether this is the directory of the long compile, or of the configuration before it.
fn is_kernel(name: &str) -> bool {
    name.rsplit_once('-')
        .is_some_and(|(step, _key)| step == "kernel" || step == "kernel-configuration")
}

fn compare(first: &publish::Record, second: &publish::Record) -> Vec<Difference> {
    let hash = |record: &publish::Record, name: &str| {
        let found = record
            .artefacts
            .iter()
            .find(|artefact| artefact.name == name);
        found.map(|artefact| artefact.sha256.clone())
    };
    let mut names: Vec<&str> = first
        .artefacts
        .iter()
        .chain(&second.artefacts)
        .map(|artefact| artefact.name.as_str())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
        .into_iter()
        .map(|name| Difference {
            name: name.to_owned(),
            first: hash(first, name),
            second: hash(second, name),
        })
        .filter(|pair| pair.first != pair.second)
        .collect()
}

/// Has diffoscope say where two artefacts differ.
fn explain(first: &Path, second: &Path, name: &str, workshop: &Path) -> anyhow::Result<()> {
    let report = workshop.join(format!("{name}.diff"));
    let status = Command::new("diffoscope")
        .arg("--text")
        .arg(&report)
        .args([first.join(name), second.join(name)])
        .status()
        .context("running diffoscope")?;
    // diffoscope says with 1 that it found differences, with more that it failed.
    match status.code() {
        Some(1) => println!("{name}: see {}", report.display()),
        _ => eprintln!("bastide: diffoscope could not compare {name}: {status}"),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Difference, compare, is_kernel};
    use crate::publish::{Published, Record};

    fn record(artefacts: &[(&str, &str)]) -> Record {
        Record {
            product: "demo".into(),
            version: "1".into(),
            artefacts: artefacts
                .iter()
                .map(|(name, sha256)| Published {
                    name: (*name).into(),
                    sha256: (*sha256).into(),
                    size: 1,
                    from: String::new(),
                })
                .collect(),
            steps: Vec::new(),
        }
    }

    #[test]
    fn only_the_kernel_is_taken_from_the_cache() {
        assert!(is_kernel("kernel-2df753cf11ec0557"));
        assert!(is_kernel("kernel-configuration-37dc57806fc54cef"));
        assert!(!is_kernel("kernel-modules-4428bdaa3e4ec77f"));
        assert!(!is_kernel(".kernel-2df753cf11ec0557.lock"));
    }

    #[test]
    fn other_bits_and_missing_files_are_differences() {
        let first = record(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let second = record(&[("a", "1"), ("b", "9")]);
        let expected = [("b", Some("2"), Some("9")), ("c", Some("3"), None)];
        let expected = expected.map(|(name, first, second)| Difference {
            name: name.into(),
            first: first.map(str::to_owned),
            second: second.map(str::to_owned),
        });
        assert_eq!(compare(&first, &second), expected);
        assert!(compare(&first, &first).is_empty());
    }
}
