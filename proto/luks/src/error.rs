//! Why a header or a key slot is refused.

use std::io;

use crate::Place;

/// Why a header is refused.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// Fewer bytes than the header says it has.
    #[error("LUKS2 header is cut off")]
    Short,
    /// The disk does not give it out.
    #[error("LUKS2 header cannot be read")]
    Unreadable(#[source] io::Error),
    /// It does not begin as that copy of a header does.
    #[error("no LUKS2 header in the {0} place")]
    Magic(Place),
    /// A version other than 2.
    #[error("LUKS header has version {0}, not 2")]
    Version(u16),
    /// A size that the specification does not list.
    #[error("LUKS2 header has {0} bytes")]
    Size(u64),
    /// It says that it lies elsewhere.
    #[error("LUKS2 header says that it lies at {0}")]
    Offset(u64),
    /// A text is not ended, not text or steers terminals.
    #[error("LUKS2 header has a malformed {0}")]
    Text(&'static str),
    /// The text does not fit its field.
    #[error("{0} does not fit the LUKS2 header")]
    LongText(&'static str),
    /// Bytes outside any field are not zero.
    #[error("LUKS2 header has stray bytes")]
    Stray,
    /// A checksum other than SHA-256.
    #[error("LUKS2 header is checked by another sum than sha256")]
    Algorithm,
    /// Damaged, or written half.
    #[error("LUKS2 header does not match its checksum")]
    Checksum,
    /// The area is not one JSON object followed by zeros.
    #[error("LUKS2 JSON area is no object followed by zeros")]
    Frame,
    /// A key is missing, unknown or of another type.
    #[error("LUKS2 JSON is not as it must be")]
    Json(#[source] serde_json::Error),
    /// A number is out of bounds.
    #[error("LUKS2 JSON: {0} is out of bounds")]
    Bounds(&'static str),
    /// Two parts overlap or lie outside their area.
    #[error("LUKS2 JSON: area of key slot {0} overlaps something")]
    Overlap(u32),
    /// A reference leads nowhere.
    #[error("LUKS2 JSON: {0} refers to what is not there")]
    Dangling(&'static str),
    /// There is not exactly one segment, number 0, with one digest.
    #[error("LUKS2 header is not of a volume with one segment")]
    Segments,
    /// The header asks for what we do not do, such as finishing a re-encryption.
    #[error("LUKS2 header has requirements")]
    Requirements,
    /// The cipher is not one of ours.
    #[error("volume is encrypted by {encryption:?} with integrity {integrity:?}")]
    Cipher {
        /// The segment's encryption.
        encryption: String,
        /// The segment's integrity type.
        integrity: String,
    },
    /// The JSON area is full.
    #[error("no room left in the LUKS2 header")]
    Full,
    /// The number of changes cannot be counted on.
    #[error("LUKS2 header was changed too often")]
    Sequence,
    /// A passphrase is empty or too long.
    #[error("passphrase has {0} bytes")]
    Passphrase(usize),
    /// No such key size.
    #[error("volume key has {0} bytes")]
    KeySize(usize),
    /// The digest is of another key.
    #[error("that is not the volume's key")]
    OtherKey,
    /// A token lacks its type, or is not what it must be.
    #[error("token is malformed")]
    Token,
    /// There is no such thing.
    #[error("no {0} of that number")]
    Missing(&'static str),
    /// Its number is taken, or none is free.
    #[error("no free number for a {0}")]
    NoNumber(&'static str),
    /// The last key slot must stay: nobody could open the volume without.
    #[error("the last key slot cannot be removed")]
    LastKeyslot,
    /// No random bytes.
    #[error("no random bytes")]
    Random(#[source] io::Error),
}

/// Why a key slot cannot be opened or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyslotError {
    /// The header has no such key slot.
    #[error("no key slot {0}")]
    Missing(u32),
    /// The key slot's area was not handed over whole.
    #[error("area of key slot {0} is cut off")]
    Short(u32),
    /// The key derivation needs more memory than there is.
    #[error("no memory for a key derivation that wants {0} KiB")]
    Memory(u32),
    /// The key derivation cannot be done with these parameters.
    #[error("key derivation refused: {0}")]
    Derivation(argon2::Error),
    /// The header or the key is refused.
    #[error(transparent)]
    Header(#[from] HeaderError),
}
