//! What the JSON area says (LUKS2 On-Disk Format Specification, section 3), in the
//! order in which cryptsetup writes it.

use serde::{Deserialize, Serialize};

use crate::{
    Cipher, HeaderError,
    json::{Bytes, Decimal, Hash, Number, Numbered, Token},
    kdf::{Kdf, SALT_SIZE},
};

/// The whole object.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    pub keyslots: Numbered<Keyslot>,
    pub tokens: Numbered<Token>,
    pub segments: Numbered<Segment>,
    pub digests: Numbered<Digest>,
    pub config: Config,
}

/// A key slot: where an encrypted copy of the volume key lies, and under what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keyslot {
    #[serde(rename = "type")]
    pub(crate) kind: KeyslotKind,
    pub(crate) key_size: u32,
    pub(crate) af: AntiForensic,
    pub(crate) area: Area,
    pub(crate) kdf: Kdf,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) priority: Option<u8>,
}

impl Keyslot {
    /// Where its material lies.
    pub fn area(&self) -> &Area {
        &self.area
    }

    /// How its passphrase becomes a key.
    pub fn kdf(&self) -> &Kdf {
        &self.kdf
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyslotKind {
    #[serde(rename = "luks2")]
    Luks2,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AntiForensic {
    #[serde(rename = "type")]
    pub kind: AntiForensicKind,
    pub stripes: u32,
    pub hash: Hash,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AntiForensicKind {
    #[serde(rename = "luks1")]
    Luks1,
}

/// Where a key slot's material lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Area {
    #[serde(rename = "type")]
    pub(crate) kind: AreaKind,
    pub(crate) offset: Decimal,
    pub(crate) size: Decimal,
    pub(crate) encryption: AreaEncryption,
    pub(crate) key_size: u32,
}

impl Area {
    /// Where it begins, in bytes from the start of the device; whole 4 KiB.
    pub fn offset(&self) -> u64 {
        self.offset.0
    }

    /// Its bytes; whole 4 KiB, at most 2 MiB.
    pub fn size(&self) -> u64 {
        self.size.0
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AreaKind {
    #[serde(rename = "raw")]
    Raw,
}

/// The one encryption of key slots that we do. Others, the null cipher among them, let
/// whoever has the disk put a key of theirs into a key slot that any passphrase opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AreaEncryption {
    #[serde(rename = "aes-xts-plain64")]
    AesXts,
}

/// A segment: where the data lies and how it is encrypted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Segment {
    #[serde(rename = "type")]
    pub(crate) kind: SegmentKind,
    pub(crate) offset: Decimal,
    pub(crate) size: SegmentSize,
    pub(crate) iv_tweak: Decimal,
    pub(crate) encryption: String,
    pub(crate) sector_size: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) integrity: Option<Integrity>,
}

impl Segment {
    /// Where the data begins, in bytes from the start of the device.
    pub fn offset(&self) -> u64 {
        self.offset.0
    }

    /// Bytes of a sector.
    pub fn sector_size(&self) -> u32 {
        self.sector_size
    }

    /// Its cipher.
    ///
    /// # Errors
    /// It is none of ours, or the data is not authenticated.
    pub fn cipher(&self) -> Result<Cipher, HeaderError> {
        let integrity = self.integrity.as_ref().map_or("", |found| &found.kind);
        Cipher::from_names(&self.encryption, integrity).ok_or_else(|| HeaderError::Cipher {
            encryption: self.encryption.clone(),
            integrity: integrity.to_owned(),
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentKind {
    #[serde(rename = "crypt")]
    Crypt,
}

/// Segments with a size of their own belong to devices that are being converted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SegmentSize {
    #[serde(rename = "dynamic")]
    Dynamic,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Integrity {
    #[serde(rename = "type")]
    pub kind: String,
    pub journal_encryption: JournalProtection,
    pub journal_integrity: JournalProtection,
}

/// The journal holds what is encrypted and authenticated already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum JournalProtection {
    #[serde(rename = "none")]
    None,
}

/// A digest: tells the volume key from others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Digest {
    #[serde(rename = "type")]
    pub kind: DigestKind,
    pub keyslots: Vec<Number>,
    pub segments: Vec<Number>,
    pub hash: Hash,
    pub iterations: u32,
    pub salt: Bytes<SALT_SIZE>,
    pub digest: Bytes<32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigestKind {
    #[serde(rename = "pbkdf2")]
    Pbkdf2,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub json_size: Decimal,
    pub keyslots_size: Decimal,
    /// Wishes for activation, such as `allow-discards`; kept, never followed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirements {
    #[serde(default)]
    pub mandatory: Vec<String>,
}
