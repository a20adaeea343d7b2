//! A header in memory.

use std::collections::BTreeMap;

use pbkdf2::pbkdf2_hmac;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use uuid::Uuid;

use crate::{
    Cipher, DATA_OFFSET, HEADER_SIZES, HeaderError, Keyslot, MOST_OBJECTS, Place, Random,
    SECTOR_SIZE, Segment, Token, VolumeKey,
    binary::{self, BINARY_SIZE, Binary},
    json::{Bytes, Decimal, Hash, Number, Numbered},
    kdf::FEWEST_ITERATIONS,
    metadata::{
        Config, Digest, DigestKind, Integrity, JournalProtection, Metadata, SegmentKind,
        SegmentSize,
    },
    validate::validate,
};

/// A valid header: what one copy says, and the salts of both.
#[derive(Debug, Clone, PartialEq)]
pub struct Header {
    pub(crate) size: u32,
    pub(crate) sequence: u64,
    pub(crate) label: String,
    pub(crate) subsystem: String,
    pub(crate) uuid: Uuid,
    /// Of the primary and the secondary copy.
    pub(crate) salts: [[u8; 64]; 2],
    pub(crate) metadata: Metadata,
}

/// What to make a new header of.
#[derive(Debug, Clone, Copy)]
pub struct NewVolume<'volume> {
    /// Identity of the volume.
    pub uuid: Uuid,
    /// Name for people, at most 47 bytes.
    pub label: &'volume str,
    /// Cipher of the data.
    pub cipher: Cipher,
}

impl Header {
    /// A new header with data from [`DATA_OFFSET`], sectors of [`SECTOR_SIZE`] bytes
    /// and no key slot yet. Its volume key is told by a digest.
    ///
    /// # Errors
    /// The label is too long, the key is not of the cipher's size, or there are no
    /// random bytes.
    pub fn new(
        volume: &NewVolume<'_>,
        key: &VolumeKey,
        random: Random<'_>,
    ) -> Result<Self, HeaderError> {
        let NewVolume {
            uuid,
            label,
            cipher,
        } = *volume;
        if key.expose().len() != cipher.key_size() {
            return Err(HeaderError::KeySize(key.expose().len()));
        }
        let [size, ..] = HEADER_SIZES;
        let mut salts = [[0; 64]; 2];
        for salt in &mut salts {
            random(salt).map_err(HeaderError::Random)?;
        }
        let segment = Segment {
            kind: SegmentKind::Crypt,
            offset: Decimal(DATA_OFFSET),
            size: SegmentSize::Dynamic,
            iv_tweak: Decimal(0),
            encryption: cipher.encryption().to_owned(),
            sector_size: SECTOR_SIZE,
            integrity: Some(Integrity {
                kind: cipher.integrity().to_owned(),
                journal_encryption: JournalProtection::None,
                journal_integrity: JournalProtection::None,
            }),
        };
        let header = Self {
            size,
            sequence: 0,
            label: label.to_owned(),
            subsystem: String::new(),
            uuid,
            salts,
            metadata: Metadata {
                keyslots: Numbered(BTreeMap::new()),
                tokens: Numbered(BTreeMap::new()),
                segments: Numbered(BTreeMap::from([(0, segment)])),
                digests: Numbered(BTreeMap::from([(0, Digest::new(key, random)?)])),
                config: Config {
                    json_size: Decimal(u64::from(size) - BINARY_SIZE as u64),
                    keyslots_size: Decimal(DATA_OFFSET - 2 * u64::from(size)),
                    flags: None,
                    requirements: None,
                },
            },
        };
        header.encode(Place::Primary)?;
        Ok(header)
    }

    /// Bytes of the whole copy that begins with these [`BINARY_SIZE`] bytes.
    ///
    /// # Errors
    /// They do not begin a header of that place.
    pub fn told_size(bytes: &[u8], place: Place) -> Result<u32, HeaderError> {
        binary::told_size(bytes, place)
    }

    /// Reads a copy. The other's salt is not known then; [`choose`](crate::choose)
    /// puts both together.
    ///
    /// # Errors
    /// The first thing that is not as it must be.
    pub fn parse(bytes: &[u8], place: Place) -> Result<Self, HeaderError> {
        let (binary, area) = binary::parse(bytes, place)?;
        let end = area.iter().position(|byte| *byte == 0);
        let (text, rest) = area.split_at(end.ok_or(HeaderError::Frame)?);
        let framed = text.first() == Some(&b'{') && text.last() == Some(&b'}');
        if !framed || rest.iter().any(|byte| *byte != 0) {
            return Err(HeaderError::Frame);
        }
        let metadata: Metadata = serde_json::from_slice(text).map_err(HeaderError::Json)?;
        validate(&metadata, u64::from(binary.size))?;
        let mut salts = [[0; 64]; 2];
        salts[place as usize] = binary.salt;
        Ok(Self {
            size: binary.size,
            sequence: binary.sequence,
            label: binary.label,
            subsystem: binary.subsystem,
            uuid: binary.uuid,
            salts,
            metadata,
        })
    }

    /// The bytes of a copy.
    ///
    /// # Errors
    /// The JSON area or the label's field is too small.
    pub fn encode(&self, place: Place) -> Result<Vec<u8>, HeaderError> {
        validate(&self.metadata, u64::from(self.size))?;
        let json = serde_json::to_vec(&self.metadata).map_err(HeaderError::Json)?;
        let binary = Binary {
            size: self.size,
            sequence: self.sequence,
            label: self.label.clone(),
            salt: self.salts[place as usize],
            uuid: self.uuid,
            subsystem: self.subsystem.clone(),
        };
        binary::encode(&binary, &json, place)
    }

    /// Counts a change, which must come before both copies are written.
    ///
    /// # Errors
    /// It was changed 2^64 times, which no honest volume was.
    pub fn count_change(&mut self) -> Result<(), HeaderError> {
        self.sequence = self.sequence.checked_add(1).ok_or(HeaderError::Sequence)?;
        Ok(())
    }

    /// Bytes of a copy.
    pub fn size(&self) -> u32 {
        self.size
    }

    /// How often it was changed.
    pub fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Name for people; from the disk, but without control characters.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Identity of the volume.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// Key slots by number.
    pub fn keyslots(&self) -> impl Iterator<Item = (u32, &Keyslot)> {
        self.metadata
            .keyslots
            .0
            .iter()
            .map(|(number, keyslot)| (*number, keyslot))
    }

    /// The key slot of a number.
    pub fn keyslot(&self, number: u32) -> Option<&Keyslot> {
        self.metadata.keyslots.0.get(&number)
    }

    /// The one segment: a header without is never valid.
    ///
    /// # Errors
    /// None in practice.
    pub fn segment(&self) -> Result<&Segment, HeaderError> {
        self.metadata
            .segments
            .0
            .get(&0)
            .ok_or(HeaderError::Segments)
    }

    /// Where the areas of key slots lie, in bytes.
    pub fn areas(&self) -> std::ops::Range<u64> {
        let start = 2 * u64::from(self.size);
        start..start + self.metadata.config.keyslots_size.0
    }

    /// Whether this is the key that the data is encrypted with.
    #[must_use]
    pub fn is_volume_key(&self, key: &VolumeKey) -> bool {
        self.metadata
            .digests
            .0
            .values()
            .find(|digest| !digest.segments.is_empty())
            .is_some_and(|digest| digest.matches(key))
    }

    /// Tokens by number.
    pub fn tokens(&self) -> impl Iterator<Item = (u32, &Token)> {
        self.metadata
            .tokens
            .0
            .iter()
            .map(|(number, token)| (*number, token))
    }

    /// The first token of a type.
    pub fn token(&self, kind: &str) -> Option<(u32, &Token)> {
        self.tokens().find(|(_, token)| token.kind() == kind)
    }

    /// Puts a token in: in place of the one of its type, if there is one, else under
    /// the first free number. Returns the number.
    ///
    /// # Errors
    /// It names a key slot that is not there, or there is no room; the header is as
    /// before then.
    pub fn set_token(&mut self, token: Token) -> Result<u32, HeaderError> {
        let tokens = &self.metadata.tokens.0;
        let number = match self.token(token.kind()) {
            Some((number, _)) => number,
            None => (0..MOST_OBJECTS)
                .find(|number| !tokens.contains_key(number))
                .ok_or(HeaderError::NoNumber("token"))?,
        };
        let mut changed = self.clone();
        changed.metadata.tokens.0.insert(number, token);
        changed.encode(Place::Primary)?;
        *self = changed;
        Ok(number)
    }

    /// Takes a token out.
    ///
    /// # Errors
    /// There is none of that number.
    pub fn remove_token(&mut self, number: u32) -> Result<(), HeaderError> {
        match self.metadata.tokens.0.remove(&number) {
            Some(_) => Ok(()),
            None => Err(HeaderError::Missing("token")),
        }
    }
}

impl Digest {
    fn new(key: &VolumeKey, random: Random<'_>) -> Result<Self, HeaderError> {
        let mut digest = Self {
            kind: DigestKind::Pbkdf2,
            keyslots: Vec::new(),
            segments: vec![Number(0)],
            hash: Hash::Sha256,
            // A volume key cannot be guessed, however fast.
            iterations: FEWEST_ITERATIONS,
            salt: Bytes([0; 32]),
            digest: Bytes([0; 32]),
        };
        random(&mut digest.salt.0).map_err(HeaderError::Random)?;
        digest.digest.0 = digest.of(key);
        Ok(digest)
    }

    fn of(&self, key: &VolumeKey) -> [u8; 32] {
        let mut digest = [0; 32];
        pbkdf2_hmac::<Sha256>(key.expose(), &self.salt.0, self.iterations, &mut digest);
        digest
    }

    pub(crate) fn matches(&self, key: &VolumeKey) -> bool {
        self.of(key).ct_eq(&self.digest.0).into()
    }
}
