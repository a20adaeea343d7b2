//! What the hostile services of product `trial` report on the second serial line; see
//! tests/vm/hostile.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use bastide_vm::Console;

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The system refused; the error or signal that told.
    Refused(String),
    /// It did not.
    Succeeded,
}

/// The outcomes of one service's tries, by the try's name.
pub type Outcomes = BTreeMap<String, Outcome>;

/// Waits until `service` has tried everything, and reads what became of it: of every try
/// that it was given.
pub fn outcomes(line: &Console, service: &str, patience: Duration) -> Result<Outcomes> {
    let count = said(line, service, "done", patience)?;
    let outcomes = parse(&line.text(), service)?;
    ensure!(
        count.parse() == Ok(outcomes.len()) && !outcomes.is_empty(),
        "{service} was to try {count} things; known is what became of {}",
        outcomes.len()
    );
    Ok(outcomes)
}

/// Lines `<service>: <try>: refused (<why>)` and `<service>: <try>: SUCCEEDED`. A try that
/// was not made proves nothing, and is an error.
pub fn parse(text: &str, service: &str) -> Result<Outcomes> {
    let start = format!("{service}: ");
    let mut outcomes = Outcomes::new();
    for line in text.lines() {
        let Some((what, outcome)) = line
            .trim()
            .strip_prefix(&start)
            .and_then(|rest| rest.split_once(": "))
        else {
            continue;
        };
        let outcome = match outcome.strip_prefix("refused (") {
            Some(why) => Outcome::Refused(
                why.strip_suffix(')')
                    .with_context(|| format!("a line that is cut: {line}"))?
                    .to_owned(),
            ),
            None if outcome == "SUCCEEDED" => Outcome::Succeeded,
            None if outcome.starts_with("not tried") => bail!("{service}: {what}: {outcome}"),
            // A service may say more than outcomes.
            None => continue,
        };
        outcomes.insert(what.to_owned(), outcome);
    }
    Ok(outcomes)
}

/// What `service` says of `subject`, a line `<service>: <subject>: <text>`.
pub fn said(line: &Console, service: &str, subject: &str, patience: Duration) -> Result<String> {
    let start = format!("{service}: {subject}: ");
    let find = |text: &str| {
        let complete = text.rsplit_once('\n').map_or("", |(lines, _)| lines);
        let found = complete
            .lines()
            .find_map(|line| line.trim().strip_prefix(&start));
        found.map(str::to_owned)
    };
    if let Some(text) = find(&line.text()) {
        return Ok(text);
    }
    line.expect(&start, patience)?;
    line.expect("\n", patience)?;
    find(&line.text()).with_context(|| format!("{service} says nothing of {subject}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_are_read_and_other_lines_are_not() {
        let text = "hostile: write-file: refused (EACCES)\nhostile-granted: write-file: SUCCEEDED\n\
            hostile: ptrace: SUCCEEDED\nhostile: something else\nhostile: done\n";
        let outcomes = parse(text, "hostile").unwrap();
        assert_eq!(outcomes.len(), 2);
        assert_eq!(
            outcomes["write-file"],
            Outcome::Refused("EACCES".to_owned())
        );
        assert_eq!(outcomes["ptrace"], Outcome::Succeeded);
        assert!(parse("hostile: ptrace: refused (SIGS", "hostile").is_err());
        assert!(parse("hostile: ptrace: not tried: ENOMEM", "hostile").is_err());
    }
}
