//! The exposure table as people read it: on a terminal, and in the book.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use super::{Exposure, Line};
use crate::catalogue::{self, Error};

/// The command that writes the page of the book, which is [`PAGE`].
pub const COMMAND: &str = "./bastide exposure --markdown > docs/src/exposure.md";

/// Where the page lies in the tree.
pub const PAGE: &str = "docs/src/exposure.md";

/// One line per service, the most exposed first.
#[must_use]
pub fn summary(exposures: &[Exposure]) -> String {
    let mut sorted: Vec<&Exposure> = exposures.iter().collect();
    sorted
        .sort_by(|one, other| (other.exposure, &one.service).cmp(&(one.exposure, &other.service)));
    let mut text = format!("{:<24} {:>8}  level\n", "service", "exposure");
    for exposure in sorted {
        line(
            &mut text,
            format_args!(
                "{:<24} {:>8}  {}",
                exposure.service,
                exposure.exposure.to_string(),
                exposure.level
            ),
        );
    }
    text
}

/// Everything about one service; `items` adds what systemd asks, one line each.
#[must_use]
pub fn sheet(exposure: &Exposure, items: bool) -> String {
    let mut text = String::new();
    line(
        &mut text,
        format_args!(
            "{}: exposure {} {}",
            exposure.service, exposure.exposure, exposure.level
        ),
    );
    line(
        &mut text,
        format_args!("  {:<16} {:>6} {:>8}  can reach", "", "weight", "exposure"),
    );
    for topic in &exposure.topics {
        let (weight, part) = scored(topic);
        line(
            &mut text,
            format_args!(
                "  {:<16} {weight:>6} {part:>8}  {}",
                topic.topic.as_str(),
                topic.reach
            ),
        );
    }
    let shown = exposure
        .items
        .iter()
        .filter(|item| items || item.badness.is_some_and(|badness| badness > 0));
    line(
        &mut text,
        format_args!(
            "  {}",
            match items {
                true => "item by item, + counts against it, / does not apply:",
                false => "what counts against it:",
            }
        ),
    );
    for item in shown {
        let mark = match item.badness {
            None => '/',
            Some(0) => ' ',
            Some(_) => '+',
        };
        line(
            &mut text,
            format_args!(
                "  {mark} {:<60} {:>4} of {:<4}  {}",
                item.name,
                item.burden(),
                item.weight,
                item.finding
            ),
        );
    }
    text
}

/// The page of the book: the services of all products.
///
/// # Errors
/// When the tree's definitions cannot be read.
pub fn page(tree: &Path) -> Result<String, Error> {
    let services = catalogue::of_all(tree)?;
    let scored: Vec<(Exposure, BTreeSet<String>)> = services
        .into_iter()
        .map(|(defined, products)| (Exposure::of(&defined.service), products))
        .collect();
    Ok(markdown(&scored))
}

/// What is wrong with the page that the tree holds, as a sentence.
///
/// # Errors
/// When the tree's definitions cannot be read.
pub fn violation(tree: &Path) -> Result<Option<String>, Error> {
    let wanted = page(tree)?;
    let kept = std::fs::read_to_string(tree.join(PAGE)).unwrap_or_default();
    Ok(difference(&kept, &wanted)
        .map(|line| format!("{PAGE}:{line}: not what the definitions say; run {COMMAND}")))
}

/// The first line, counted from 1, in which two texts differ.
fn difference(kept: &str, wanted: &str) -> Option<usize> {
    if kept == wanted {
        return None;
    }
    let same = kept.lines().zip(wanted.lines());
    Some(same.take_while(|(kept, wanted)| kept == wanted).count() + 1)
}

fn markdown(services: &[(Exposure, BTreeSet<String>)]) -> String {
    let mut text = format!(
        "# Exposure\n\n\
         <!-- Written by `{COMMAND}`; `./bastide check` compares. Do not edit. -->\n\n\
         What each service of the Core can reach by its definition, beside the items and weights\n\
         that `systemd-analyze security` scores on a systemd machine (systemd,\n\
         `src/analyze/analyze-security.c`). The arithmetic is the same: the sum of weight times\n\
         badness over the sum of the weights, from 0.0 to 10.0, with the same words: PERFECT, SAFE\n\
         (from 0.1), OK (1.0), MEDIUM (5.0), EXPOSED (7.5), UNSAFE (9.0), DANGEROUS (10.0). Lower is\n\
         better. A topic without a weight is one that systemd does not score.\n\n\
         PID 1 is not in the table: it is what builds the sandboxes, and has none itself. The kernel\n\
         and its drivers are everybody's. How a service comes to what it has is told in\n\
         [Services](services.md); `./bastide exposure --service NAME` shows every item.\n\n\
         | service | in the products | exposure | level |\n|---|---|---:|---|\n"
    );
    for (exposure, products) in services {
        let products: Vec<&str> = products.iter().map(String::as_str).collect();
        line(
            &mut text,
            format_args!(
                "| [{0}](#{0}) | {1} | {2} | {3} |",
                exposure.service,
                products.join(", "),
                exposure.exposure,
                exposure.level
            ),
        );
    }
    for (exposure, _) in services {
        line(
            &mut text,
            format_args!(
                "\n## {}\n\n| topic | can reach | weight | exposure |\n|---|---|---:|---:|",
                exposure.service
            ),
        );
        for topic in &exposure.topics {
            let (weight, part) = scored(topic);
            line(
                &mut text,
                format_args!(
                    "| {} | {} | {weight} | {part} |",
                    topic.topic.as_str(),
                    cell(&topic.reach)
                ),
            );
        }
        line(
            &mut text,
            format_args!(
                "| **all** | | {} | **{} {}** |",
                exposure.topics.iter().map(|line| line.weight).sum::<u64>(),
                exposure.exposure,
                exposure.level
            ),
        );
        text.push_str("\nWhat counts against it:\n\n");
        for item in exposure.faults() {
            line(
                &mut text,
                format_args!(
                    "- `{}` ({} of {}): {}",
                    item.name,
                    item.burden(),
                    item.weight,
                    item.finding
                ),
            );
        }
    }
    text
}

/// Weight and exposure of a topic as shown.
fn scored(line: &Line) -> (String, String) {
    if line.weight == 0 {
        return ("-".to_owned(), "-".to_owned());
    }
    let part = format!("{}.{:02}", line.hundredths / 100, line.hundredths % 100);
    (line.weight.to_string(), part)
}

/// A text inside a cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(text: &mut String, words: fmt::Arguments<'_>) {
    text.push_str(&words.to_string());
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_most_exposed_comes_first() {
        let exposures =
            [samples::least(), samples::reckless()].map(|service| Exposure::of(&service));
        let text = summary(&exposures);
        let place = |name: &str| text.find(name).unwrap();
        assert!(place("reckless") < place("least"), "{text}");
    }

    #[test]
    fn a_sheet_says_what_counts_and_can_show_all() {
        let exposure = Exposure::of(&samples::page());
        let short = sheet(&exposure, false);
        assert!(short.contains("its terminal ttyS0"), "{short}");
        assert!(short.contains("+ PrivateDevices="), "{short}");
        assert!(!short.contains("PrivateTmp="), "{short}");
        assert!(sheet(&exposure, true).contains("PrivateTmp="));
    }

    #[test]
    fn a_page_that_is_out_of_date_is_found_with_its_line() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("a\nx\n", "a\nb\n"), Some(2));
        assert_eq!(difference("a\n", "a\nb\n"), Some(2));
        assert_eq!(difference("", "a\n"), Some(1));
    }

    #[test]
    fn the_page_has_a_row_and_a_table_per_service() {
        let service = Exposure::of(&samples::log());
        let text = markdown(&[(service, BTreeSet::from(["demo".to_owned()]))]);
        assert!(text.contains("| [log](#log) | demo |"), "{text}");
        assert!(text.contains("\n## log\n"), "{text}");
        assert!(
            text.contains("writes /tmp of its own, /var/lib/log (64 MiB)"),
            "{text}"
        );
        assert!(text.contains("serves org.bastide.Log to page"), "{text}");
    }
}
