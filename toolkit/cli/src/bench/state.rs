//! `bench state`: authenticated encryption of a disk, the choices there are, by fio in the
//! rescue machine with our kernel.

use std::fs::File;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bastide_vm::{Accelerator, Disk, rescue};

use super::machine;
use crate::build::{self, Options};
use crate::context::Context;
use crate::host;

/// What the rescue machine does; see the file.
const TASK: &str = include_str!("state.sh");

/// The disk that is written to, in bytes.
const SCRATCH: u64 = 192 << 20;

/// Sixteen runs of fio for each choice, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(3600);

/// What one choice comes to.
#[derive(Debug, PartialEq)]
struct Row {
    choice: String,
    /// Write, read in MiB/s; random write, random read in operations a second.
    figures: [f64; 4],
}

/// Measures and prints a table.
///
/// # Errors
/// When something cannot be built or booted, or a choice cannot be set up.
pub fn measure(context: &Context, product: &str, accelerator: Accelerator) -> anyhow::Result<()> {
    host::require(&[host::RUN], context.yes)?;
    let options = Options::default();
    let built = build::build_product(context, product, &options)?.directory;
    let assets = build::assets(context, false)?;
    let engine = build::engine(context, &assets, &options);
    let disk = crate::rescue::rescue_disk(&engine, context, &built)?;
    let place = machine::place(context, "bench-state")?;
    let scratch = place.join("scratch.img");
    File::create(&scratch)
        .and_then(|file| file.set_len(SCRATCH))
        .context("making the scratch disk")?;
    let mut machine = machine::bare(&built, accelerator);
    machine.record = Some(place);
    eprintln!("bench state: some minutes");
    let output = rescue::run(machine, &disk, TASK, &[Disk::Own(scratch)], PATIENCE)?;
    let rows = rows(&output)?;
    ensure!(!rows.is_empty(), "fio measured nothing:\n{output}");
    println!("{accelerator:?}, 2 processors, 1 GiB; sectors of 4096 bytes, no cache of pages");
    println!(
        "{:<34} {:>12} {:>12} {:>14} {:>14}",
        "", "write MiB/s", "read MiB/s", "writes of 4k/s", "reads of 4k/s"
    );
    for row in &rows {
        let [write, read, writes, reads] = row.figures;
        println!(
            "{:<34} {write:>12.1} {read:>12.1} {writes:>14.0} {reads:>14.0}",
            row.choice
        );
    }
    for line in output
        .lines()
        .filter(|line| line.contains("result: skipped"))
    {
        println!("{}", line.trim());
    }
    Ok(())
}

/// Reads lines `result: row <choice> <write> <read> <writes> <reads>`; bandwidth in KiB/s.
fn rows(output: &str) -> anyhow::Result<Vec<Row>> {
    let lines = output
        .lines()
        .filter_map(|line| line.trim().strip_prefix("result: row "));
    lines
        .map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [choice, numbers @ ..] = words.as_slice() else {
                anyhow::bail!("an empty row");
            };
            let numbers: Vec<f64> = numbers
                .iter()
                .map(|number| number.parse())
                .collect::<Result<_, _>>()
                .with_context(|| format!("a row that is not understood: {line}"))?;
            let [write, read, writes, reads] = numbers[..] else {
                anyhow::bail!("a row that is not understood: {line}");
            };
            Ok(Row {
                choice: (*choice).to_owned(),
                figures: [write / 1024.0, read / 1024.0, writes, reads],
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read() {
        let output = "noise\nresult: row aes-gcm 2048 4096 100.5 200\nresult: skipped x\n";
        let expected = Row {
            choice: "aes-gcm".to_owned(),
            figures: [2.0, 4.0, 100.5, 200.0],
        };
        assert_eq!(rows(output).unwrap(), [expected]);
        assert!(rows("result: row aes-gcm 2048 x 1 1").is_err());
        assert!(rows("result: row aes-gcm 2048").is_err());
    }
}
