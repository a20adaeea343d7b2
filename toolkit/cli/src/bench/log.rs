//! `bench log`: lines that a log takes in, and what sealing costs: systemd's journal in the
//! rescue machine, and our own log there too, fed alike.

use std::time::Duration;

use anyhow::ensure;
use bastide_log_format::certificate::{Certificate, Claim};
use bastide_log_format::epoch::Epoch;
use bastide_log_format::key::MachineKeys;
use bastide_log_format::seal_file::SealFile;
use bastide_vm::{Accelerator, Disk, rescue};

use super::machine;
use crate::build::{self, Options};
use crate::context::Context;
use crate::host;

/// What the rescue machine does; see the file.
const TASK: &str = include_str!("log.sh");

const PATIENCE: Duration = Duration::from_secs(1800);

/// Measures and prints a table.
///
/// # Errors
/// When something cannot be built or booted.
pub fn measure(context: &Context, product: &str, accelerator: Accelerator) -> anyhow::Result<()> {
    host::require(&[host::RUN], context.yes)?;
    let options = Options::default();
    let built = build::build_product(context, product, &options)?.directory;
    let assets = build::assets(context, false)?;
    let engine = build::engine(context, &assets, &options);
    let disk = crate::rescue::rescue_disk(&engine, context, &built)?;
    let mut machine = machine::bare(&built, accelerator);
    machine.record = Some(machine::place(context, "bench-log")?);
    // Our programs are those of the Core, which is a file system of its own.
    let core = Disk::Image(built.join("core.img"));
    let task = format!("SEAL='{}'\n{TASK}", seal()?);
    let output = rescue::run(machine, &disk, &task, &[core], PATIENCE)?;
    let lines: Vec<&str> = output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("result: "))
        .collect();
    ensure!(!lines.is_empty(), "nothing was measured:\n{output}");
    println!("{accelerator:?}, 2 processors, 1 GiB; lines of 100 bytes");
    println!("{:<34} {:>12} {:>14}", "", "lines/s", "us for a line");
    for line in lines {
        match figures(line) {
            Some((what, count, seconds)) => println!(
                "{what:<34} {:>12.0} {:>14.1}",
                count / seconds,
                seconds / count * 1e6
            ),
            None => println!("{line}"),
        }
    }
    Ok(())
}

/// What the initramfs would leave for the log of a machine with a secret of no worth.
fn seal() -> anyhow::Result<String> {
    let keys = MachineKeys::new(&[1; 32]);
    let boot = 1;
    let epoch = Epoch::new([1; 16]);
    let seed = keys.boot(epoch, boot);
    let claim = Claim {
        epoch,
        boot,
        first: boot,
        key: seed.public(),
    };
    let file = SealFile {
        boot,
        certificate: Certificate::issue(keys.root(), claim),
        root_public: keys.root().public(),
        anchor_auth: (*keys.anchor_auth()).into(),
        seed,
        next: None,
    };
    Ok(String::from_utf8(file.to_json()?.to_vec())?)
}

/// `<what> <lines> <milliseconds>`.
fn figures(line: &str) -> Option<(&str, f64, f64)> {
    let mut words = line.split_whitespace();
    let what = words.next()?;
    let count: f64 = words.next()?.parse().ok()?;
    let milliseconds: f64 = words.next()?.parse().ok()?;
    (words.next().is_none() && count > 0.0 && milliseconds > 0.0).then_some((
        what,
        count,
        milliseconds / 1000.0,
    ))
}

#[cfg(test)]
mod tests {
    use super::figures;

    #[test]
    fn only_whole_figures_are_taken() {
        assert_eq!(figures("journal 1000 500"), Some(("journal", 1000.0, 0.5)));
        for other in [
            "",
            "journal",
            "journal 0 500",
            "journal 1 x",
            "not measured at all",
        ] {
            assert_eq!(figures(other), None, "{other}");
        }
    }
}
