//! The status page as a person reads it.

use anyhow::{Result, ensure};
use bastide_boot::RootHash;
use bastide_vm::signs::{NO_PAGE, PAGE, PAGE_KEYS};
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
        console.expect_any(&[PAGE], NO_PAGE, PATIENCE)?;
        console.forget();
        // The page draws only what changed, unless it is asked to refresh.
        console.send(" ")?;
        let page = console.expect_any(&[PAGE], NO_PAGE, PATIENCE)?.text;
        let rest = console.expect_any(&[PAGE_KEYS], NO_PAGE, PATIENCE)?.text;
        Ok(Self { text: page + &rest })
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
