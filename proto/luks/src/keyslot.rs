//! Opening, making and removing key slots.

use zeroize::Zeroizing;

use crate::{
    Effort, Header, HeaderError, Kdf, Keyslot, KeyslotError, MOST_OBJECTS, Passphrase, Place,
    Random, VolumeKey, anti_forensic, area,
    json::{Decimal, Hash, Number},
    metadata::{AntiForensic, AntiForensicKind, Area, AreaEncryption, AreaKind, KeyslotKind},
    validate::area_size,
};

/// Bytes of the key of an area: AES-256-XTS.
const AREA_KEY_SIZE: usize = 64;

/// Whether a passphrase opens a key slot.
#[derive(Debug)]
#[must_use]
pub enum Unlock {
    /// It does: the digest says that this is the volume's key.
    Opened(VolumeKey),
    /// It does not.
    Refused,
}

/// A key slot to be: its material must be on the disk before the header that tells of
/// it.
#[derive(Debug)]
#[must_use]
pub struct NewKeyslot {
    /// Its number.
    pub number: u32,
    /// Where its material goes, in bytes from the start of the device.
    pub offset: u64,
    /// Encrypted material; as long as the area.
    pub material: Vec<u8>,
    header: Header,
}

impl NewKeyslot {
    /// The header that tells of it, to be written once the material is on the disk.
    pub fn into_header(self) -> Header {
        self.header
    }
}

impl Header {
    /// Tries a passphrase on a key slot, of which `material` is the area.
    ///
    /// # Errors
    /// There is no such key slot, the area is cut off, or the key derivation cannot be
    /// done. A wrong passphrase is no error.
    pub fn unlock(
        &self,
        number: u32,
        material: &[u8],
        passphrase: &Passphrase,
    ) -> Result<Unlock, KeyslotError> {
        let keyslot = self.keyslot(number).ok_or(KeyslotError::Missing(number))?;
        let key_size = keyslot.key_size as usize;
        let size = sectors(key_size * anti_forensic::STRIPES);
        let material = material.get(..size).ok_or(KeyslotError::Short(number))?;
        let mut material = Zeroizing::new(material.to_vec());
        let area_key = keyslot
            .kdf
            .derive(passphrase, keyslot.area.key_size as usize)?;
        area::decrypt(&mut material, &area_key);
        let key = VolumeKey::new(&anti_forensic::merge(&material, key_size))?;
        // The digest that vouches for the data must list this key slot too.
        let verified = self.metadata.digests.0.values().any(|digest| {
            !digest.segments.is_empty()
                && digest.keyslots.contains(&Number(number))
                && digest.matches(&key)
        });
        Ok(if verified {
            Unlock::Opened(key)
        } else {
            Unlock::Refused
        })
    }

    /// Prepares a key slot of that number, or the first free one.
    ///
    /// # Errors
    /// The key is not the volume's, the number is taken, no area or no room in the
    /// header is free, or there are no random bytes.
    pub fn add_keyslot(
        &self,
        number: Option<u32>,
        key: &VolumeKey,
        passphrase: &Passphrase,
        effort: Effort,
        random: Random<'_>,
    ) -> Result<NewKeyslot, KeyslotError> {
        if !self.is_volume_key(key) {
            return Err(HeaderError::OtherKey.into());
        }
        let number = self.free_number(number)?;
        let key_size = key.expose().len();
        let size = area_size(key_size as u64);
        let offset = self.free_area(size)?;
        let kdf = Kdf::new(effort, random)?;

        let area_key = kdf.derive(passphrase, AREA_KEY_SIZE)?;
        let split = anti_forensic::split(key.expose(), random)?;
        // What is beyond the material looks like it.
        let mut material = vec![0; size as usize];
        random(&mut material).map_err(HeaderError::Random)?;
        material[..split.len()].copy_from_slice(&split);
        area::encrypt(&mut material[..sectors(split.len())], &area_key);

        let mut header = self.clone();
        header.metadata.keyslots.0.insert(
            number,
            Keyslot {
                kind: KeyslotKind::Luks2,
                key_size: key_size as u32,
                af: AntiForensic {
                    kind: AntiForensicKind::Luks1,
                    stripes: anti_forensic::STRIPES as u32,
                    hash: Hash::Sha256,
                },
                area: Area {
                    kind: AreaKind::Raw,
                    offset: Decimal(offset),
                    size: Decimal(size),
                    encryption: AreaEncryption::AesXts,
                    key_size: AREA_KEY_SIZE as u32,
                },
                kdf,
                priority: None,
            },
        );
        for digest in header.metadata.digests.0.values_mut() {
            if !digest.segments.is_empty() {
                digest.keyslots.push(Number(number));
            }
        }
        header.encode(Place::Primary)?;
        Ok(NewKeyslot {
            number,
            offset,
            material,
            header,
        })
    }

    /// The header without a key slot; its area must be overwritten before this header
    /// is written.
    ///
    /// # Errors
    /// There is no such key slot, or it is the last one.
    pub fn without_keyslot(&self, number: u32) -> Result<Self, HeaderError> {
        let mut header = self.clone();
        if header.metadata.keyslots.0.remove(&number).is_none() {
            return Err(HeaderError::Missing("key slot"));
        }
        if header.metadata.keyslots.0.is_empty() {
            return Err(HeaderError::LastKeyslot);
        }
        for digest in header.metadata.digests.0.values_mut() {
            digest.keyslots.retain(|listed| listed.0 != number);
        }
        for token in header.metadata.tokens.0.values_mut() {
            token.forget_keyslot(number);
        }
        Ok(header)
    }

    fn free_number(&self, wanted: Option<u32>) -> Result<u32, HeaderError> {
        let taken = &self.metadata.keyslots.0;
        match wanted {
            Some(number) => (number..MOST_OBJECTS).next(),
            None => (0..MOST_OBJECTS).find(|number| !taken.contains_key(number)),
        }
        .filter(|number| !taken.contains_key(number))
        .ok_or(HeaderError::NoNumber("key slot"))
    }

    /// The first gap between areas, as cryptsetup looks for it.
    fn free_area(&self, size: u64) -> Result<u64, HeaderError> {
        let areas = self.areas();
        let mut taken: Vec<(u64, u64)> = self
            .keyslots()
            .map(|(_, keyslot)| (keyslot.area.offset(), keyslot.area.size()))
            .collect();
        taken.sort_unstable();
        let mut offset = areas.start;
        for (start, length) in taken {
            if start.saturating_sub(offset) >= size {
                break;
            }
            offset = start + length;
        }
        if areas.end.saturating_sub(offset) >= size {
            Ok(offset)
        } else {
            Err(HeaderError::Full)
        }
    }
}

fn sectors(size: usize) -> usize {
    size.next_multiple_of(512)
}
