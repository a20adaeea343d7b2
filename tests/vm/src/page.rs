//! The status page as a person reads it.

use std::time::Duration;

use anyhow::{Result, ensure};
use bastide_boot::RootHash;
use bastide_vm::signs::{DEGRADED, NO_PAGE, PAGE, PAGE_KEYS, PANIC};
use bastide_vm::{Console, Machine};

use crate::bench::PATIENCE;

/// The text of a status page.
#[derive(Clone, Debug)]
pub struct Page {
    text: String,
}

impl Page {
    /// Waits for the page to say that the machine is ready, then has it drawn anew to
    /// read it whole. A refusal or a panic ends the wait.
    pub fn wait(console: &Console) -> Result<Self> {
        Self::wait_within(console, PATIENCE)
    }

    /// The same, with as much patience as a first boot needs.
    pub fn wait_within(console: &Console, patience: Duration) -> Result<Self> {
        console.expect_any(&[PAGE], NO_PAGE, patience)?;
        Self::read(console)
    }

    /// The page as it is now, of a machine that shows one and is ready or degraded.
    pub fn read(console: &Console) -> Result<Self> {
        console.forget();
        // The page draws only what changed, unless it is asked to refresh.
        console.send(" ")?;
        // A drawing may be under way; a whole one begins before the state is named.
        let settled = [PAGE, DEGRADED];
        let page = console.expect_any(&settled, &[PANIC], PATIENCE)?.text;
        let rest = console.expect_any(&[PAGE_KEYS], &[PANIC], PATIENCE)?.text;
        Ok(Self { text: page + &rest })
    }

    /// All of it.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line that speaks about `subject`.
    pub fn line(&self, subject: &str) -> Result<&str> {
        self.text
            .lines()
            .rev()
            .find(|line| line.to_lowercase().contains(&subject.to_lowercase()))
            .ok_or_else(|| {
                anyhow::anyhow!(
                    "the status page says nothing about {subject}:\n{}",
                    self.text
                )
            })
    }

    /// Whether the page shows these hexadecimal digits, however grouped or wrapped.
    pub fn shows_digits(&self, digits: &str) -> bool {
        let shown: String = self
            .text
            .chars()
            .filter(char::is_ascii_hexdigit)
            .collect::<String>()
            .to_lowercase();
        shown.contains(&digits.to_lowercase())
    }
}

/// Waits for the status page and for the machine being ready, and makes sure that the
/// Core that runs is `root_hash`.
pub fn expect_up(machine: &Machine, root_hash: &RootHash) -> Result<Page> {
    let page = Page::wait(machine.console())?;
    ensure!(
        page.shows_digits(&root_hash.to_string()),
        "the status page does not show root hash {root_hash}:\n{}",
        page.text
    );
    Ok(page)
}

/// Powers the machine off at its console, so that everything is written and closed.
pub fn power_off(machine: &mut Machine) -> Result<()> {
    let console = machine.console();
    console.forget();
    console.send("p")?;
    console.expect("y: yes", PATIENCE)?;
    console.send("y")?;
    let status = machine.wait_off(PATIENCE)?;
    ensure!(status.success(), "QEMU did not end well: {status}");
    Ok(())
}
