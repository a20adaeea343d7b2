//! Names and short texts that a definition may hold.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The longest name of a service, product or user, in bytes.
pub const NAME_LIMIT: usize = 32;

/// The longest text shown to people (titles, reasons), in bytes.
pub const TEXT_LIMIT: usize = 400;

/// Checks the shape shared by all our names: `a-z`, digits and single hyphens,
/// a letter first.
///
/// # Errors
/// Says what a name looks like.
pub fn check_name(text: &str) -> Result<(), String> {
    let letters = text
        .bytes()
        .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    let shape = text.starts_with(|first: char| first.is_ascii_lowercase())
        && !text.ends_with('-')
        && !text.contains("--");
    if letters && shape && text.len() <= NAME_LIMIT {
        Ok(())
    } else {
        Err(format!(
            "`{}` is no name: a-z, 0-9 and single hyphens, a letter first, at most {NAME_LIMIT} long",
            text.escape_debug()
        ))
    }
}

/// Checks a text for people: not empty, bounded, one line, nothing that could
/// steer a terminal.
///
/// # Errors
/// Says which of these it breaks.
pub fn check_text(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("is empty".to_owned());
    }
    if text.len() > TEXT_LIMIT {
        return Err(format!(
            "{} bytes long; the limit is {TEXT_LIMIT}",
            text.len()
        ));
    }
    if text.chars().any(char::is_control) {
        return Err("holds a control character".to_owned());
    }
    Ok(text.to_owned())
}

/// The name of a service: the name of the folder its definition lies in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ServiceName(String);

impl ServiceName {
    /// Makes a name.
    ///
    /// # Errors
    /// When it has not the shape of [`check_name`].
    pub fn new(text: &str) -> Result<Self, String> {
        check_name(text).map(|()| Self(text.to_owned()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl TryFrom<String> for ServiceName {
    type Error = String;
    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<ServiceName> for String {
    fn from(name: ServiceName) -> Self {
        name.0
    }
}

/// Why something is granted: each grant of a definition has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Why(String);

/// The shortest reason accepted, in bytes: "yes" is none.
const WHY_MINIMUM: usize = 10;

impl Why {
    /// Makes a reason.
    ///
    /// # Errors
    /// When it says next to nothing, or is no single line of text.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = check_text(text)?;
        if text.trim().len() < WHY_MINIMUM {
            return Err(format!("`{text}` says too little to be a reason"));
        }
        Ok(Self(text))
    }

    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_one_shape() {
        for good in ["a", "console", "console-serial", "net0", "a-1"] {
            assert!(check_name(good).is_ok(), "{good}");
        }
        let long = "a".repeat(NAME_LIMIT + 1);
        for bad in [
            "", "-a", "a-", "a--b", "A", "0a", "a b", "a/b", "..", "é", &long,
        ] {
            assert!(check_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn texts_cannot_steer_a_terminal() {
        for bad in ["", "  ", "a\u{1b}[2J", "two\nlines", "\u{9b}2J"] {
            assert!(check_text(bad).is_err(), "{bad:?}");
        }
        assert!(check_text("Poste à deux niveaux").is_ok());
        assert!(Why::new("needed").is_err());
        assert!(Why::new("draws on the serial line").is_ok());
    }
}
