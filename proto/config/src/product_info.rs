//! `/usr/share/bastide/product.json`: what the Core knows of its product.

use serde::{Deserialize, Serialize};

use crate::name::check_text;

/// Where it lies in the Core.
pub const PATH: &str = "/usr/share/bastide/product.json";

/// The largest file accepted, in bytes.
pub const SIZE_LIMIT: usize = 4096;

/// What the Core knows of its product, for its screens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProductInfo {
    /// The product's name.
    pub name: String,
    /// The title shown after the word Bastide.
    pub title: String,
    /// The version as shown, the mark of instrumentation included.
    pub version: String,
    /// Whether it is instrumented.
    pub instrumented: bool,
    /// Shown on every screen when the product is for trying only.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub demo_notice: Option<String>,
}

/// Why a `product.json` is refused.
#[derive(Debug, thiserror::Error)]
pub enum ProductInfoError {
    /// It is larger than any we write.
    #[error("product.json is {0} bytes long; the limit is {SIZE_LIMIT}")]
    TooLong(usize),
    /// It has not the expected structure.
    #[error("product.json is not what the toolkit writes")]
    Structure(#[source] serde_json::Error),
    /// A text in it could not be shown as it is.
    #[error("product.json: `{key}` {what}")]
    Text {
        /// The key.
        key: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl ProductInfo {
    /// The line that names the system on every screen.
    #[must_use]
    pub fn banner(&self) -> String {
        format!("Bastide {} {}", self.title, self.version)
    }

    /// The file's content.
    ///
    /// # Panics
    /// Never: the structure has only strings and flags.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("strings and flags serialise");
        text.push('\n');
        text
    }

    /// Reads the file's content.
    ///
    /// # Errors
    /// When it is too long, of another structure, or holds control characters.
    pub fn from_json(text: &str) -> Result<Self, ProductInfoError> {
        if text.len() > SIZE_LIMIT {
            return Err(ProductInfoError::TooLong(text.len()));
        }
        let info: Self = serde_json::from_str(text).map_err(ProductInfoError::Structure)?;
        for (key, value) in [
            ("name", Some(&info.name)),
            ("title", Some(&info.title)),
            ("version", Some(&info.version)),
            ("demo_notice", info.demo_notice.as_ref()),
        ] {
            if let Some(Err(what)) = value.map(|value| check_text(value)) {
                return Err(ProductInfoError::Text { key, what });
            }
        }
        Ok(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info() -> ProductInfo {
        ProductInfo {
            name: "demo".to_owned(),
            title: "Demo".to_owned(),
            version: "0.1.0+instrumented".to_owned(),
            instrumented: true,
            demo_notice: Some("for trying only".to_owned()),
        }
    }

    #[test]
    fn comes_back_as_it_was_written() {
        let text = info().to_json();
        assert_eq!(ProductInfo::from_json(&text).expect("readable"), info());
        assert_eq!(info().banner(), "Bastide Demo 0.1.0+instrumented");
    }

    #[test]
    fn refuses_what_could_steer_a_terminal() {
        let mut steering = info();
        steering.title = "Demo\u{1b}[2J".to_owned();
        assert!(matches!(
            ProductInfo::from_json(&steering.to_json()),
            Err(ProductInfoError::Text { key: "title", .. })
        ));
        assert!(ProductInfo::from_json(&" ".repeat(SIZE_LIMIT + 1)).is_err());
        assert!(ProductInfo::from_json("{}").is_err());
    }
}
