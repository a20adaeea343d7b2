//! The text format of a kernel's definition.
//!
//! Lines beginning with `#` are the reason of the group of lines below them; an
//! empty line ends the group. So every line has a reason, and a file is read from
//! top to bottom like an explanation.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::option::{OptionName, Value};

/// Where something is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file.
    pub file: PathBuf,
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.file.display(), self.line)
    }
}

/// Something wrong in a definition.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct Mistake {
    /// Where.
    pub at: Location,
    /// What is wrong and, where it helps, what to write instead.
    pub what: String,
}

/// What the lines of a file look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grammar {
    /// `CONFIG_X=value`: options that are asked for. With `override ` in front in a
    /// layer that changes what an earlier one says.
    Requests,
    /// `CONFIG_X`: options that must be off.
    Prohibitions,
    /// `CONFIG_X` or `CONFIG_X=*pattern*`: findings of the hardening checker that
    /// are known, the latter form telling apart several findings on one option.
    Exceptions,
}

/// One line of a definition that is not a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Where it is written.
    pub at: Location,
    /// The option.
    pub name: OptionName,
    /// What follows the `=`.
    pub value: Option<String>,
    /// Whether it begins with `override`.
    pub overrides: bool,
}

/// Lines sharing a reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Why these options, in one line.
    pub reason: String,
    /// The lines, in the order of the file.
    pub entries: Vec<Entry>,
}

/// The groups written in `text`, which was read from `file`; every mistake in it
/// goes to `mistakes`.
pub fn parse(text: &str, file: &Path, grammar: Grammar, mistakes: &mut Vec<Mistake>) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut reason: Vec<&str> = Vec::new();
    let mut entries: Vec<Entry> = Vec::new();
    let mut reason_line = 0;
    let mut below_reason = false;
    for (index, line) in text.lines().chain([""]).enumerate() {
        let at = Location {
            file: file.to_owned(),
            line: index + 1,
        };
        let line = line.trim_end();
        if line.is_empty() {
            if !below_reason && !reason.is_empty() {
                mistakes.push(Mistake {
                    at: Location {
                        line: reason_line,
                        ..at
                    },
                    what: "a reason without options; an empty line parts it from them?".into(),
                });
            } else if !entries.is_empty() {
                groups.push(Group {
                    reason: reason.join(" "),
                    entries: std::mem::take(&mut entries),
                });
            }
            reason.clear();
            below_reason = false;
        } else if let Some(comment) = line.strip_prefix('#') {
            if below_reason {
                mistakes.push(Mistake {
                    at,
                    what: "a reason in the middle of a group; put an empty line before it".into(),
                });
                continue;
            }
            if reason.is_empty() {
                reason_line = at.line;
            }
            reason.push(comment.trim());
        } else {
            if reason.is_empty() && !below_reason {
                mistakes.push(Mistake {
                    at: at.clone(),
                    what:
                        "a group without a reason; write why in lines beginning with '#' above it"
                            .into(),
                });
            }
            below_reason = true;
            match entry(line, &at, grammar) {
                Ok(entry) => entries.push(entry),
                Err(what) => mistakes.push(Mistake {
                    at,
                    what: what.into(),
                }),
            }
        }
    }
    groups
}

/// The entry written in `line`, or what is wrong with it.
fn entry(line: &str, at: &Location, grammar: Grammar) -> Result<Entry, &'static str> {
    let (overrides, rest) = match line.strip_prefix("override ") {
        Some(rest) => (true, rest.trim_start()),
        None => (false, line),
    };
    let (name, value) = match rest.split_once('=') {
        Some((name, value)) => (name, Some(value)),
        None => (rest, None),
    };
    let name = OptionName::parse(name).ok_or(
        "not the name of an option: CONFIG_ is missing, or a character that cannot be in one",
    )?;
    match (grammar, value) {
        (Grammar::Requests, None) => {
            return Err("no value; write CONFIG_X=y, m, n, a number or a \"text\"");
        }
        (Grammar::Requests, Some(value)) if Value::parse(value).is_none() => {
            return Err("not a value: y, m, n, a number or a \"text\" (and nothing after it)");
        }
        (Grammar::Prohibitions, Some(_)) => {
            return Err("a value; a prohibition is the option's name alone");
        }
        (Grammar::Prohibitions | Grammar::Exceptions, _) if overrides => {
            return Err("override is for requests");
        }
        _ => {}
    }
    Ok(Entry {
        at: at.clone(),
        name,
        value: value.map(str::to_owned),
        overrides,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, grammar: Grammar) -> (Vec<Group>, Vec<String>) {
        let mut mistakes = Vec::new();
        let groups = parse(text, Path::new("sample"), grammar, &mut mistakes);
        (groups, mistakes.iter().map(Mistake::to_string).collect())
    }

    #[test]
    fn a_reason_covers_the_lines_below_it() {
        let (groups, mistakes) = read(
            "# Because\n# of this.\nCONFIG_A=y\nCONFIG_B=\"x\"\n\n# And that.\noverride CONFIG_C=3\n",
            Grammar::Requests,
        );
        assert_eq!(mistakes, Vec::<String>::new());
        assert_eq!(groups.len(), 2);
        assert_eq!(groups[0].reason, "Because of this.");
        assert_eq!(groups[0].entries.len(), 2);
        assert!(groups[1].entries[0].overrides);
        assert_eq!(groups[1].entries[0].at.line, 7);
    }

    #[test]
    fn an_option_without_reason_is_a_mistake() {
        let (_, mistakes) = read("CONFIG_A=y\nCONFIG_B=y\n", Grammar::Requests);
        assert_eq!(mistakes.len(), 1);
        assert!(mistakes[0].starts_with("sample:1: a group without a reason"));
    }

    #[test]
    fn a_reason_without_option_is_a_mistake() {
        let (_, mistakes) = read("# Why\n\nCONFIG_A=y\n", Grammar::Requests);
        assert_eq!(mistakes.len(), 2);
        assert!(mistakes[0].starts_with("sample:1: a reason without options"));
        assert!(mistakes[1].starts_with("sample:3: a group without a reason"));
    }

    #[test]
    fn every_bad_line_is_named() {
        for (line, grammar) in [
            ("CONFIG_A", Grammar::Requests),
            ("CONFIG_A=yes", Grammar::Requests),
            ("CONFIG_A=y # why", Grammar::Requests),
            ("A=y", Grammar::Requests),
            ("CONFIG_A=y", Grammar::Prohibitions),
            ("override CONFIG_A", Grammar::Prohibitions),
        ] {
            let (_, mistakes) = read(&format!("# Why.\n{line}\n"), grammar);
            assert_eq!(mistakes.len(), 1, "{line}");
            assert!(mistakes[0].starts_with("sample:2: "), "{line}");
        }
    }
}
