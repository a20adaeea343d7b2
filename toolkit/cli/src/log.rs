//! `./bastide log`: a machine's log, looked at on another one.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use bastide_log_format::key::PublicKey;
use bastide_log_format::name::{BOOTS, FileName, StreamName};
use bastide_log_format::verify::{Report, Verifier, order};

use crate::print;

/// Arguments of `log`.
#[derive(clap::Args)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Say whether a machine's log is as it was written; exit code 1 when it is not
    Verify(Verify),
}

/// Arguments of `log verify`.
#[derive(clap::Args)]
struct Verify {
    /// The log's files: what `Export` gave, or /var/lib/log of the machine's opened state
    folder: PathBuf,
    /// The root's public key, 64 hexadecimal digits, noted when the machine was set up
    #[arg(long, value_name = "HEX")]
    root_key: Option<String>,
    /// What the machine's TPM counts (NV index 0x01b05703)
    #[arg(long, value_name = "NUMBER")]
    counter: Option<u64>,
    /// Print JSON instead
    #[arg(long)]
    json: bool,
}

/// Bytes read at once.
const PIECE: usize = 64 * 1024;

/// The longest certificate of a boot that is read, in bytes.
const LONGEST_CERTIFICATE: u64 = 4096;

/// Runs one of them.
///
/// # Errors
/// When an argument is wrong or the folder cannot be read. A log that does not verify is
/// told by the exit code.
pub fn run(arguments: &Arguments) -> anyhow::Result<ExitCode> {
    let Command::Verify(arguments) = &arguments.command;
    let root = arguments.root_key.as_deref().map(PublicKey::from_hex);
    let root = root
        .transpose()
        .context("--root-key: 64 hexadecimal digits are wanted")?;
    let report = verify(&arguments.folder, root, arguments.counter)?;
    if arguments.json {
        print::text(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print::text(&in_words(&report))?;
    }
    Ok(ExitCode::from(u8::from(!report.is_intact())))
}

fn verify(folder: &Path, root: Option<PublicKey>, counter: Option<u64>) -> anyhow::Result<Report> {
    // Who verifies on another machine may lack either; the verdict says so.
    let mut verifier = Verifier::new(root, counter).without();
    let mut files = Vec::new();
    for stream in listed(folder)? {
        let place = folder.join(&stream);
        if stream == BOOTS {
            for name in listed(&place)? {
                verifier.boot_certificate(&read_certificate(&place.join(name))?);
            }
            continue;
        }
        // What else lies there is none of the log's.
        let Ok(stream) = StreamName::new(&stream) else {
            continue;
        };
        if place.is_dir() {
            let names = listed(&place)?;
            let names = names.iter().filter_map(|name| FileName::parse(name).ok());
            files.extend(names.map(|name| (stream.clone(), name)));
        }
    }
    if files.is_empty() {
        bail!(
            "{} holds no log: folders of files <boot>-<part>.log",
            folder.display()
        );
    }
    order(&mut files);
    let mut piece = vec![0; PIECE];
    for (stream, name) in &files {
        let path = folder.join(stream.as_str()).join(name.to_string());
        verifier.begin(stream, *name)?;
        let reading = || format!("reading {}", path.display());
        let mut file = File::open(&path).with_context(reading)?;
        loop {
            let count = file.read(&mut piece).with_context(reading)?;
            if count == 0 {
                break;
            }
            verifier.push(piece.get(..count).unwrap_or_default());
        }
    }
    Ok(verifier.finish())
}

/// The names in a folder that are text; others are not the log's.
fn listed(folder: &Path) -> anyhow::Result<Vec<String>> {
    let listing = || format!("listing {}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).with_context(listing)? {
        names.extend(entry.with_context(listing)?.file_name().into_string());
    }
    names.sort();
    Ok(names)
}

fn read_certificate(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST_CERTIFICATE).read_to_end(&mut content))
        .with_context(|| format!("reading {}", path.display()))?;
    Ok(content)
}

fn in_words(report: &Report) -> String {
    let mut text = String::new();
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    for problem in &report.problems {
        line(format!("PROBLEM  {problem}"));
    }
    if report.more_problems > 0 {
        line(format!("PROBLEM  and {} more", report.more_problems));
    }
    for note in &report.notes {
        line(format!("note     {note}"));
    }
    if report.more_notes > 0 {
        line(format!("note     and {} more", report.more_notes));
    }
    for stream in &report.streams {
        line(format!(
            "stream   {}: records {} to {}",
            stream.name, stream.first, stream.last
        ));
    }
    let counter = report
        .counter
        .map_or("none".to_owned(), |value| value.to_string());
    line(format!(
        "{} boots, {} files, {} bytes; {} anchors, counter {counter}; {}",
        report.boots,
        report.files,
        report.bytes,
        report.anchors,
        if report.closed {
            "closed"
        } else {
            "not closed"
        },
    ));
    line(verdict(report));
    text
}

fn verdict(report: &Report) -> String {
    if !report.is_intact() {
        return "NOT INTACT: the log is not what was written".to_owned();
    }
    if report.unchecked.is_empty() {
        return "INTACT: nothing was changed, dropped or moved before the last seals".to_owned();
    }
    let unchecked: Vec<String> = report.unchecked.iter().map(ToString::to_string).collect();
    format!("NO FAULT FOUND, BUT NOT CHECKED: {}", unchecked.join("; "))
}

#[cfg(test)]
mod tests {
    use bastide_log_format::verify::What;

    use super::*;

    #[test]
    fn a_folder_without_log_is_named() {
        let place = tempfile::tempdir().expect("a place");
        let error = verify(place.path(), None, None).expect_err("nothing there");
        assert!(
            error
                .to_string()
                .contains(&place.path().display().to_string())
        );
    }

    #[test]
    fn a_verdict_says_what_was_not_checked() {
        let mut report = Report::default();
        assert!(verdict(&report).starts_with("INTACT"));
        report.unchecked.push(What::NoRoot);
        report.unchecked.push(What::NoCounter);
        let words = verdict(&report);
        assert!(!words.starts_with("INTACT"), "{words}");
        assert!(words.contains("root's public key"), "{words}");
        assert!(words.contains("TPM's counter"), "{words}");
    }

    #[test]
    fn a_log_that_nothing_vouches_for_is_not_intact() {
        let place = tempfile::tempdir().expect("a place");
        let kernel = place.path().join("kernel");
        fs::create_dir(&kernel).expect("made");
        fs::write(kernel.join("0000000001-000001.log"), "no record\n").expect("written");
        fs::write(place.path().join("lost+found"), "").expect("written");
        let report = verify(place.path(), None, None).expect("read");
        assert!(!report.is_intact());
        assert!(in_words(&report).contains("NOT INTACT"));
    }
}
