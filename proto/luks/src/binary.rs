//! The binary part of a header: 4096 bytes before the JSON area (specification,
//! section 2.1). Numbers are big-endian.

use std::fmt;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::HeaderError;

/// Bytes of the binary part.
pub const BINARY_SIZE: usize = 4096;

/// Bytes that a copy of a header, both parts, may have; cryptsetup writes the first.
pub const HEADER_SIZES: [u32; 9] = [
    0x4000, 0x8000, 0x1_0000, 0x2_0000, 0x4_0000, 0x8_0000, 0x10_0000, 0x20_0000, 0x40_0000,
];

pub const LABEL: std::ops::Range<usize> = 24..72;
const ALGORITHM: std::ops::Range<usize> = 72..104;
const SALT: std::ops::Range<usize> = 104..168;
const UUID: std::ops::Range<usize> = 168..208;
pub const SUBSYSTEM: std::ops::Range<usize> = 208..256;
const OFFSET: usize = 256;
const PADDING: std::ops::Range<usize> = 264..448;
const CHECKSUM: std::ops::Range<usize> = 448..512;
const DIGEST_SIZE: usize = 32;

/// Which of the two copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// At the start of the device.
    Primary,
    /// Right behind the first.
    Secondary,
}

impl Place {
    /// Where that copy lies, in bytes, in headers of a size.
    pub const fn offset(self, size: u32) -> u64 {
        match self {
            Self::Primary => 0,
            Self::Secondary => size as u64,
        }
    }

    /// The other place.
    pub const fn other(self) -> Self {
        match self {
            Self::Primary => Self::Secondary,
            Self::Secondary => Self::Primary,
        }
    }

    const fn magic(self) -> &'static [u8; 6] {
        match self {
            Self::Primary => b"LUKS\xba\xbe",
            Self::Secondary => b"SKUL\xba\xbe",
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Primary => "primary",
            Self::Secondary => "secondary",
        })
    }
}

/// The fields of the binary part that vary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binary {
    pub size: u32,
    pub sequence: u64,
    pub label: String,
    pub salt: [u8; 64],
    pub uuid: Uuid,
    pub subsystem: String,
}

/// Bytes of the whole copy that begins so, told by its binary part alone: how much to
/// read before anything is checked.
pub fn told_size(bytes: &[u8], place: Place) -> Result<u32, HeaderError> {
    let bytes: &[u8; BINARY_SIZE] = bytes.first_chunk().ok_or(HeaderError::Short)?;
    if bytes[..6] != *place.magic() {
        return Err(HeaderError::Magic(place));
    }
    match u16::from_be_bytes([bytes[6], bytes[7]]) {
        2 => {}
        other => return Err(HeaderError::Version(other)),
    }
    let told = number(bytes, 8);
    let size = HEADER_SIZES
        .into_iter()
        .find(|size| u64::from(*size) == told)
        .ok_or(HeaderError::Size(told))?;
    match number(bytes, OFFSET) {
        offset if offset == place.offset(size) => Ok(size),
        other => Err(HeaderError::Offset(other)),
    }
}

/// Checks a whole copy; gives its binary part and its JSON area.
pub fn parse(bytes: &[u8], place: Place) -> Result<(Binary, &[u8]), HeaderError> {
    let size = told_size(bytes, place)?;
    let copy = bytes.get(..size as usize).ok_or(HeaderError::Short)?;
    let (binary, json) = copy.split_at(BINARY_SIZE);
    if text(binary, ALGORITHM, "checksum name")? != "sha256" {
        return Err(HeaderError::Algorithm);
    }
    if binary[CHECKSUM][..DIGEST_SIZE] != checksum(copy) {
        return Err(HeaderError::Checksum);
    }
    let stray = binary[PADDING]
        .iter()
        .chain(&binary[CHECKSUM][DIGEST_SIZE..])
        .chain(&binary[CHECKSUM.end..]);
    if stray.into_iter().any(|byte| *byte != 0) {
        return Err(HeaderError::Stray);
    }
    let mut salt = [0; 64];
    salt.copy_from_slice(&binary[SALT]);
    let uuid = text(binary, UUID, "UUID")?;
    let uuid = Uuid::try_parse(uuid)
        .ok()
        .filter(|parsed| parsed.hyphenated().to_string() == uuid)
        .ok_or(HeaderError::Text("UUID"))?;
    let binary = Binary {
        size,
        sequence: number(binary, 16),
        label: text(binary, LABEL, "label")?.to_owned(),
        salt,
        uuid,
        subsystem: text(binary, SUBSYSTEM, "subsystem")?.to_owned(),
    };
    Ok((binary, json))
}

/// A whole copy; the JSON text must be shorter than its area.
pub fn encode(binary: &Binary, json: &[u8], place: Place) -> Result<Vec<u8>, HeaderError> {
    let mut copy = vec![0; binary.size as usize];
    copy[..6].copy_from_slice(place.magic());
    copy[6..8].copy_from_slice(&2_u16.to_be_bytes());
    copy[8..16].copy_from_slice(&u64::from(binary.size).to_be_bytes());
    copy[16..24].copy_from_slice(&binary.sequence.to_be_bytes());
    put(&mut copy, LABEL, &binary.label, "label")?;
    put(&mut copy, ALGORITHM, "sha256", "checksum name")?;
    copy[SALT].copy_from_slice(&binary.salt);
    put(
        &mut copy,
        UUID,
        &binary.uuid.hyphenated().to_string(),
        "UUID",
    )?;
    put(&mut copy, SUBSYSTEM, &binary.subsystem, "subsystem")?;
    copy[OFFSET..OFFSET + 8].copy_from_slice(&place.offset(binary.size).to_be_bytes());
    let area = &mut copy[BINARY_SIZE..];
    if json.len() >= area.len() {
        return Err(HeaderError::Full);
    }
    area[..json.len()].copy_from_slice(json);
    let sum = checksum(&copy);
    copy[CHECKSUM][..DIGEST_SIZE].copy_from_slice(&sum);
    Ok(copy)
}

/// Over both parts, the field of the checksum taken as zeros.
fn checksum(copy: &[u8]) -> [u8; DIGEST_SIZE] {
    Sha256::new()
        .chain_update(&copy[..CHECKSUM.start])
        .chain_update([0; CHECKSUM.end - CHECKSUM.start])
        .chain_update(&copy[CHECKSUM.end..])
        .finalize()
        .into()
}

fn number(bytes: &[u8], position: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[position..position + 8]);
    u64::from_be_bytes(number)
}

fn text<'bytes>(
    bytes: &'bytes [u8],
    place: std::ops::Range<usize>,
    name: &'static str,
) -> Result<&'bytes str, HeaderError> {
    let field = &bytes[place];
    let end = field.iter().position(|byte| *byte == 0);
    let (text, rest) = field.split_at(end.ok_or(HeaderError::Text(name))?);
    std::str::from_utf8(text)
        .ok()
        .filter(|text| !text.chars().any(char::is_control))
        .filter(|_| rest.iter().all(|byte| *byte == 0))
        .ok_or(HeaderError::Text(name))
}

fn put(
    bytes: &mut [u8],
    place: std::ops::Range<usize>,
    text: &str,
    name: &'static str,
) -> Result<(), HeaderError> {
    // One byte stays zero, for the end.
    if text.len() >= place.len() || text.chars().any(char::is_control) {
        return Err(HeaderError::LongText(name));
    }
    bytes[place.start..place.start + text.len()].copy_from_slice(text.as_bytes());
    Ok(())
}
