//! Which TPM counts boots: another one counts from a small number again, while the
//! machine's secret, and with it the root key, stays.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::digest::lower_hex;

/// The name of the span in which one TPM counts: 16 bytes that no other span has.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch([u8; 16]);

impl Epoch {
    /// Takes its bytes.
    #[must_use]
    pub fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    /// Its first 8 hexadecimal digits, which tell it from others to people and in names
    /// of files.
    #[must_use]
    pub fn short(&self) -> String {
        let [first, second, third, fourth, ..] = self.0;
        hex::encode([first, second, third, fourth])
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Epoch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Epoch {
    fn serialize<Output: Serializer>(&self, output: Output) -> Result<Output::Ok, Output::Error> {
        output.collect_str(self)
    }
}

impl<'input> Deserialize<'input> for Epoch {
    fn deserialize<Input: Deserializer<'input>>(input: Input) -> Result<Self, Input::Error> {
        let text = String::deserialize(input)?;
        lower_hex(text.as_bytes())
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("an epoch is 32 lower-case hexadecimal digits"))
    }
}
