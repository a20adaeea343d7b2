//! The hash that chains records.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

use crate::name::StreamName;

/// What the hash before the first record of a stream is made of, with its name.
const GENESIS: &[u8] = b"bastide log genesis 1\0";

/// SHA-256 of everything in a stream up to a record.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

/// A text that is no digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hexadecimal digits")]
pub struct NoDigest;

impl Digest {
    /// The hash before the first record of a stream.
    #[must_use]
    pub fn genesis(stream: &StreamName) -> Self {
        let mut hash = Sha256::new();
        hash.update(GENESIS);
        hash.update(stream.as_str());
        Self(hash.finalize().into())
    }

    /// The hash of a record that follows.
    #[must_use]
    pub fn follow(&self, json: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(self.0);
        hash.update(json);
        Self(hash.finalize().into())
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn from_hex(text: &[u8]) -> Result<Self, NoDigest> {
        lower_hex(text).map(Self).ok_or(NoDigest)
    }
}

/// Reads lower-case hexadecimal digits of exactly the right number. One spelling only:
/// two texts for one value would be a change that no hash notices.
pub(crate) fn lower_hex<const LENGTH: usize>(text: &[u8]) -> Option<[u8; LENGTH]> {
    let mut bytes = [0; LENGTH];
    if text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    hex::decode_to_slice(text, &mut bytes).ok()?;
    Some(bytes)
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl Serialize for Digest {
    fn serialize<Output: Serializer>(&self, output: Output) -> Result<Output::Ok, Output::Error> {
        output.collect_str(self)
    }
}

impl<'input> Deserialize<'input> for Digest {
    fn deserialize<Input: Deserializer<'input>>(input: Input) -> Result<Self, Input::Error> {
        let text = String::deserialize(input)?;
        Self::from_hex(text.as_bytes()).map_err(serde::de::Error::custom)
    }
}
