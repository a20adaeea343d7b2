//! `bench memory`: what the idle Core holds, by its own status page.

use std::thread::sleep;
use std::time::Duration;

use anyhow::Context as _;
use bastide_vm::{Accelerator, Machine, signs};

use super::machine;
use crate::build::{self, Options};
use crate::context::Context;
use crate::host;

/// How long the machine is left alone before it is asked.
const IDLE: Duration = Duration::from_secs(30);

const PATIENCE: Duration = Duration::from_secs(300);

/// Boots, waits, and prints the page's lines on memory.
///
/// # Errors
/// When something cannot be built or booted, or the page does not speak of memory.
pub fn measure(context: &Context, product: &str, accelerator: Accelerator) -> anyhow::Result<()> {
    host::require(&[host::RUN], context.yes)?;
    let built = build::build_product(context, product, &Options::default())?.directory;
    let mut running = Machine::start(&machine::provisioned(context, &built, accelerator)?)?;
    running
        .console()
        .expect_any(&[signs::PAGE], signs::NO_PAGE, PATIENCE)?;
    sleep(IDLE);
    let console = running.console();
    console.forget();
    console.send(" ")?;
    let page = console.expect(signs::PAGE_KEYS, PATIENCE)?.text;
    let lines: Vec<&str> = memory_lines(&page);
    let first = lines
        .first()
        .context("the status page does not speak of memory")?;
    println!("{first}    aim: below 64 MiB, page cache left out");
    for line in &lines[1..] {
        println!("{line}");
    }
    machine::power_off(&mut running)
}

/// The line called `Memory` and those that go on with it, which have no name of their own.
fn memory_lines(page: &str) -> Vec<&str> {
    let mut lines = page
        .lines()
        .skip_while(|line| !line.trim_start().starts_with("Memory"));
    let first = lines.next();
    let more = lines.take_while(|line| line.starts_with("    "));
    first.into_iter().chain(more).map(str::trim_end).collect()
}

#[cfg(test)]
mod tests {
    use super::memory_lines;

    #[test]
    fn only_what_belongs_to_memory_is_shown() {
        let page = "TPM 2.0\nMemory       Core 4.1 MiB (init 1.0,\n             log 3.1)\nKeys: p power off";
        assert_eq!(
            memory_lines(page),
            [
                "Memory       Core 4.1 MiB (init 1.0,",
                "             log 3.1)"
            ]
        );
        assert!(memory_lines("TPM 2.0\n").is_empty());
    }
}
