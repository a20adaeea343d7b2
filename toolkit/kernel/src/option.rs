//! Names and values of kernel options.

use std::fmt;

/// The name of a kernel option, with its `CONFIG_`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OptionName(String);

impl OptionName {
    /// The name written in `text`: `CONFIG_` and then letters, digits and `_`.
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("CONFIG_")?;
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        (!rest.is_empty() && rest.bytes().all(allowed)).then(|| Self(text.to_owned()))
    }

    /// The name as written in a configuration.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name as written where the option is defined: without its `CONFIG_`.
    pub fn symbol(&self) -> &str {
        &self.0["CONFIG_".len()..]
    }
}

impl fmt::Display for OptionName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// What an option is set to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Not set.
    No,
    /// A module.
    Module,
    /// Built in.
    Yes,
    /// A number, decimal or hexadecimal, as written.
    Number(String),
    /// A text, without its quotes.
    Text(String),
}

impl Value {
    /// The value written in `text`, as in a kernel configuration.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "n" => return Some(Self::No),
            "m" => return Some(Self::Module),
            "y" => return Some(Self::Yes),
            _ => {}
        }
        if let Some(inner) = text.strip_prefix('"') {
            let inner = inner.strip_suffix('"')?;
            let plain = !inner.contains(['"', '\\']);
            return plain.then(|| Self::Text(inner.to_owned()));
        }
        let number = match text.strip_prefix("0x") {
            Some(digits) => {
                !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
            }
            None => text.parse::<i64>().is_ok(),
        };
        number.then(|| Self::Number(text.to_owned()))
    }

    /// Whether the option does anything: built in or a module.
    pub fn is_on(&self) -> bool {
        matches!(self, Self::Yes | Self::Module)
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => formatter.write_str("n"),
            Self::Module => formatter.write_str("m"),
            Self::Yes => formatter.write_str("y"),
            Self::Number(number) => formatter.write_str(number),
            Self::Text(text) => write!(formatter, "\"{text}\""),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(OptionName::parse("CONFIG_NET").unwrap().symbol(), "NET");
        assert!(OptionName::parse("CONFIG_FONT_8x16").is_some());
        for bad in [
            "",
            "CONFIG_",
            "NET",
            "CONFIG_A-B",
            "config_NET",
            "CONFIG_A B",
        ] {
            assert!(OptionName::parse(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn values_round_trip() {
        for text in [
            "y",
            "m",
            "n",
            "65536",
            "-1",
            "0x10",
            "\"\"",
            "\"lockdown,bpf\"",
        ] {
            assert_eq!(Value::parse(text).unwrap().to_string(), text);
        }
        for bad in ["", "Y", "yes", "\"", "\"a", "0x", "1.5", "a b", "\"a\"b\""] {
            assert!(Value::parse(bad).is_none(), "{bad}");
        }
    }
}
