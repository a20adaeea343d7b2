//! The status page as a person reads it.

use anyhow::{Result, ensure};
use bastide_boot::RootHash;
use bastide_vm::{Console, Machine};

use crate::bench::{PAGE, PATIENCE, REFUSED};

/// The text of a status page.
#[derive(Clone, Debug)]
pub struct Page {
    text: String,
}

impl Page {
    /// Waits for the page; a refusal or a panic ends the wait.
    pub fn wait(console: &Console) -> Result<Self> {
        let unwanted = [REFUSED, "Kernel panic", crate::bench::NOTHING_BOOTS];
        let seen = console.expect_any(&[PAGE], &unwanted, PATIENCE)?;
        Ok(Self { text: seen.text })
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
