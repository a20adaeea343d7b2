//! What is wrong with a definition, each item naming file, line and key.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

/// The largest definition accepted, in bytes.
pub const SIZE_LIMIT: usize = 64 * 1024;

/// The largest number of items accepted in one list of a definition.
pub const LIST_LIMIT: usize = 256;

/// One thing wrong with a definition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line, counted from 1.
    pub line: usize,
    /// The key, dotted; empty when the whole file is concerned.
    pub key: String,
    /// What is wrong and, where it helps, what to write instead.
    pub what: String,
}

/// Everything wrong with one definition; holds at least one [`Problem`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The definition's file.
    pub file: PathBuf,
    /// In the order of the file.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                formatter.write_str("\n")?;
            }
            write!(formatter, "{}:{}: ", self.file.display(), problem.line)?;
            if !problem.key.is_empty() {
                write!(formatter, "`{}`: ", problem.key)?;
            }
            formatter.write_str(&problem.what)?;
        }
        Ok(())
    }
}

/// A value together with its place in the text.
pub type Spanned<T> = toml::Spanned<T>;

/// The text under examination and the problems found so far.
///
/// Validation goes on after a problem, so that an author sees all of them in
/// one go; [`Examination::finish`] is the only way out and refuses if any was
/// found.
#[derive(Debug)]
pub struct Examination<'text> {
    file: PathBuf,
    text: &'text str,
    problems: Vec<Problem>,
}

impl<'text> Examination<'text> {
    /// Checks size and syntax, and reads the text into its raw structure.
    ///
    /// # Errors
    /// When the text is too long, is no TOML, lacks a required key or has an
    /// unknown one.
    pub fn parse<Raw: DeserializeOwned>(
        file: &Path,
        text: &'text str,
    ) -> Result<(Raw, Self), Problems> {
        let mut examination = Self {
            file: file.to_owned(),
            text,
            problems: Vec::new(),
        };
        if text.len() > SIZE_LIMIT {
            examination.at_line(
                1,
                "",
                format!("{} bytes long; the limit is {SIZE_LIMIT}", text.len()),
            );
            return Err(examination.into_problems());
        }
        match toml::from_str(text) {
            Ok(raw) => Ok((raw, examination)),
            Err(error) => {
                let span = error.span().unwrap_or(0..0);
                let line = examination.line(span.start);
                let key = examination.key_at(line);
                examination.at_line(line, &key, error.message().replace('\n', " "));
                Err(examination.into_problems())
            }
        }
    }

    /// Records a problem with the value at `span`.
    pub fn at(&mut self, span: Range<usize>, key: &str, what: impl Into<String>) {
        let line = self.line(span.start);
        self.at_line(line, key, what);
    }

    /// Records a problem of the file as a whole.
    pub fn whole(&mut self, key: &str, what: impl Into<String>) {
        self.at_line(1, key, what);
    }

    /// Refuses a list that is longer than [`LIST_LIMIT`].
    pub fn bound<T>(&mut self, list: &[T], key: &str) {
        if list.len() > LIST_LIMIT {
            self.whole(
                key,
                format!("{} items; the limit is {LIST_LIMIT}", list.len()),
            );
        }
    }

    /// Runs a check on a value and records its complaint.
    pub fn check<T, U>(
        &mut self,
        value: &Spanned<T>,
        key: &str,
        check: impl FnOnce(&T) -> Result<U, String>,
    ) -> Option<U> {
        match check(value.get_ref()) {
            Ok(checked) => Some(checked),
            Err(what) => {
                self.at(value.span(), key, what);
                None
            }
        }
    }

    /// Hands out the validated value if nothing was wrong.
    ///
    /// # Errors
    /// All the problems recorded.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<T, Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok(value),
            _ => {
                if self.problems.is_empty() {
                    self.whole("", "incomplete");
                }
                Err(self.into_problems())
            }
        }
    }

    fn at_line(&mut self, line: usize, key: &str, what: impl Into<String>) {
        self.problems.push(Problem {
            line,
            key: key.to_owned(),
            what: what.into(),
        });
    }

    fn into_problems(mut self) -> Problems {
        self.problems.sort_by_key(|problem| problem.line);
        Problems {
            file: self.file,
            problems: self.problems,
        }
    }

    fn line(&self, offset: usize) -> usize {
        self.text
            .bytes()
            .take(offset)
            .filter(|byte| *byte == b'\n')
            .count()
            + 1
    }

    /// The key written on a line, for errors the TOML reader reports itself.
    fn key_at(&self, line: usize) -> String {
        let text = self.text.lines().nth(line - 1).unwrap_or_default();
        let (key, _) = text.split_once('=').unwrap_or((text, ""));
        let key = key.trim().trim_matches(['[', ']']).trim();
        let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
        if key.chars().all(plain) {
            key.to_owned()
        } else {
            String::new()
        }
    }
}
