//! What must hold between the parts of the JSON area.

use crate::{
    HeaderError, MOST_OBJECTS,
    anti_forensic::STRIPES,
    binary::BINARY_SIZE,
    kdf::{FEWEST_ITERATIONS, MOST_ITERATIONS},
    metadata::{Keyslot, Metadata, Segment},
};

const BLOCK: u64 = 4096;
const MOST_KEYSLOTS_SIZE: u64 = 128 * 1024 * 1024;
const MOST_AREA_SIZE: u64 = 2 * 1024 * 1024;
const LONGEST_WORD: usize = 64;

/// Bytes that the material of a key takes on disk.
pub fn area_size(key_size: u64) -> u64 {
    (key_size * STRIPES as u64).next_multiple_of(BLOCK)
}

pub fn validate(metadata: &Metadata, header_size: u64) -> Result<(), HeaderError> {
    let config = &metadata.config;
    if config.json_size.0.checked_add(BINARY_SIZE as u64) != Some(header_size) {
        return Err(HeaderError::Bounds("json_size"));
    }
    let keyslots_size = config.keyslots_size.0;
    if !keyslots_size.is_multiple_of(BLOCK) || keyslots_size > MOST_KEYSLOTS_SIZE {
        return Err(HeaderError::Bounds("keyslots_size"));
    }
    for flag in config.flags.iter().flatten() {
        word(flag)?;
    }
    if let Some(requirements) = &config.requirements
        && !requirements.mandatory.is_empty()
    {
        return Err(HeaderError::Requirements);
    }
    // Two headers of at most 4 MiB and 128 MiB: no overflow.
    let areas = 2 * header_size..2 * header_size + keyslots_size;
    segments(metadata, areas.end)?;
    for (number, keyslot) in &metadata.keyslots.0 {
        self::keyslot(keyslot)?;
        let area = &keyslot.area;
        let end = area.offset().saturating_add(area.size());
        let alone = metadata.keyslots.0.iter().all(|(other, keyslot)| {
            let (start, size) = (keyslot.area.offset(), keyslot.area.size());
            other == number || end <= start || start.saturating_add(size) <= area.offset()
        });
        if !alone || area.offset() < areas.start || end > areas.end {
            return Err(HeaderError::Overlap(*number));
        }
    }
    digests(metadata)?;
    tokens(metadata)
}

fn segments(metadata: &Metadata, areas_end: u64) -> Result<(), HeaderError> {
    let segments = &metadata.segments.0;
    let (1, Some(segment)) = (segments.len(), segments.get(&0)) else {
        return Err(HeaderError::Segments);
    };
    segment_itself(segment)?;
    if segment.offset() < areas_end {
        return Err(HeaderError::Bounds("offset of the segment"));
    }
    Ok(())
}

fn segment_itself(segment: &Segment) -> Result<(), HeaderError> {
    word(&segment.encryption)?;
    if let Some(integrity) = &segment.integrity {
        word(&integrity.kind)?;
    }
    if !matches!(segment.sector_size, 512 | 1024 | 2048 | 4096) {
        return Err(HeaderError::Bounds("sector_size"));
    }
    if segment.iv_tweak.0 != 0 {
        return Err(HeaderError::Bounds("iv_tweak"));
    }
    if !segment.offset().is_multiple_of(BLOCK) || segment.offset() > i64::MAX as u64 {
        return Err(HeaderError::Bounds("offset of the segment"));
    }
    Ok(())
}

fn keyslot(keyslot: &Keyslot) -> Result<(), HeaderError> {
    keyslot.kdf.validate()?;
    if !(16..=128).contains(&keyslot.key_size) {
        return Err(HeaderError::Bounds("key_size of a key slot"));
    }
    if keyslot.af.stripes as usize != STRIPES {
        return Err(HeaderError::Bounds("number of stripes"));
    }
    if !matches!(keyslot.area.key_size, 32 | 64) {
        return Err(HeaderError::Bounds("key_size of an area"));
    }
    let size = keyslot.area.size();
    if !size.is_multiple_of(BLOCK)
        || size > MOST_AREA_SIZE
        || size < area_size(u64::from(keyslot.key_size))
        || !keyslot.area.offset().is_multiple_of(BLOCK)
    {
        return Err(HeaderError::Bounds("area of a key slot"));
    }
    if keyslot.priority.is_some_and(|priority| priority > 2) {
        return Err(HeaderError::Bounds("priority of a key slot"));
    }
    Ok(())
}

fn digests(metadata: &Metadata) -> Result<(), HeaderError> {
    let mut of_segment = 0;
    for digest in metadata.digests.0.values() {
        if !(FEWEST_ITERATIONS..=MOST_ITERATIONS).contains(&digest.iterations) {
            return Err(HeaderError::Bounds("number of iterations of a digest"));
        }
        let most = MOST_OBJECTS as usize;
        if digest.keyslots.len() > most || digest.segments.len() > most {
            return Err(HeaderError::Bounds("length of a digest's lists"));
        }
        let known = |number: &crate::json::Number| metadata.keyslots.0.contains_key(&number.0);
        if !digest.keyslots.iter().all(known) || digest.segments.iter().any(|number| number.0 != 0)
        {
            return Err(HeaderError::Dangling("a digest"));
        }
        of_segment += digest.segments.len();
    }
    if of_segment == 1 {
        Ok(())
    } else {
        Err(HeaderError::Segments)
    }
}

fn tokens(metadata: &Metadata) -> Result<(), HeaderError> {
    let known = |number| metadata.keyslots.0.contains_key(&number);
    if metadata
        .tokens
        .0
        .values()
        .all(|token| token.keyslots().all(known))
    {
        Ok(())
    } else {
        Err(HeaderError::Dangling("a token"))
    }
}

fn word(text: &str) -> Result<(), HeaderError> {
    let printable = text.bytes().all(|byte| byte.is_ascii_graphic());
    if text.is_empty() || text.len() > LONGEST_WORD || !printable {
        return Err(HeaderError::Bounds("length of a word"));
    }
    Ok(())
}
