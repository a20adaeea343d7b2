//! Which of two copies counts.
//!
//! Whoever changes a header writes the primary copy, waits until it is on the disk,
//! then writes the secondary. So at every moment one copy is whole, and where both
//! are, the one with the higher sequence number is the newer (specification, section
//! 2.2).

use crate::{Header, HeaderError, Place, Random};

/// The header that counts, and which copy must be written again.
#[derive(Debug)]
#[must_use]
pub struct Chosen {
    /// The header.
    pub header: Header,
    /// The copy that is damaged or old.
    pub repair: Option<Place>,
}

/// Chooses between what was found in both places. Random bytes make a salt for a copy
/// that is written anew.
///
/// # Errors
/// Neither copy is valid (the primary's flaw is told), or there are no random bytes.
pub fn choose(
    primary: Result<Header, HeaderError>,
    secondary: Result<Header, HeaderError>,
    random: Random<'_>,
) -> Result<Chosen, HeaderError> {
    let (mut header, good, other) = match (primary, secondary) {
        (Ok(primary), Ok(secondary)) if secondary.sequence > primary.sequence => {
            (secondary, Place::Secondary, Some(primary))
        }
        (Ok(primary), other) => (primary, Place::Primary, other.ok()),
        (Err(_), Ok(secondary)) => (secondary, Place::Secondary, None),
        (Err(error), Err(_)) => return Err(error),
    };
    let bad = good.other();
    if let Some(other) = other {
        let salt = other.salts[bad as usize];
        // Salts apart, the copies of one change are equal.
        header.salts[bad as usize] = salt;
        let same = Header {
            salts: header.salts,
            ..other
        } == header;
        return Ok(Chosen {
            header,
            repair: (!same).then_some(bad),
        });
    }
    random(&mut header.salts[bad as usize]).map_err(HeaderError::Random)?;
    Ok(Chosen {
        header,
        repair: Some(bad),
    })
}
