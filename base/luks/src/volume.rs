//! A volume's header on its device.

use std::path::Path;

use bastide_luks_format::{
    Cipher, DATA_OFFSET, Effort, HEADER_SIZES, Header, HeaderError, KeyslotError, Passphrase,
    Place, SECTOR_SIZE, Token, Unlock, VolumeKey, choose,
};
use uuid::Uuid;

use crate::{LuksError, device::Device, random::fill};

/// Data that a volume must have room for at least, in bytes: dm-integrity needs some
/// itself.
const LEAST_DATA: u64 = 16 * 1024 * 1024;

/// A volume whose header is valid.
#[derive(Debug)]
pub struct Volume {
    pub(crate) device: Device,
    pub(crate) header: Header,
}

/// What to make a new volume of.
#[derive(Debug, Clone, Copy)]
pub struct NewVolume<'volume> {
    /// Name for people, at most 47 bytes.
    pub label: &'volume str,
    /// Cipher of the data.
    pub cipher: Cipher,
    /// Passphrase of key slot 0.
    pub passphrase: &'volume Passphrase,
    /// How much work that passphrase needs.
    pub effort: Effort,
    /// Tokens that the first header on the disk has already.
    pub tokens: &'volume [Token],
}

/// What was found on a device.
#[derive(Debug)]
pub struct Opened {
    /// The volume.
    pub volume: Volume,
    /// Whether a copy of the header was damaged or old, and was written again.
    pub repaired: bool,
    /// Why a copy that should have been written again was not. The other one counts.
    pub unrepaired: Option<LuksError>,
}

/// Whether a passphrase opens a volume.
#[derive(Debug)]
#[must_use]
pub enum Unlocked {
    /// It does.
    Opened {
        /// Number of the key slot that it opens.
        keyslot: u32,
        /// The volume key.
        key: VolumeKey,
    },
    /// It opens no key slot.
    Refused,
}

impl Volume {
    /// Makes a volume with a new random key and one key slot. Whatever the device holds
    /// is lost. Old headers go first, so that a power cut leaves no volume rather than
    /// half of another; the new header comes last.
    ///
    /// # Errors
    /// The device is too small or cannot be written.
    pub fn format(path: &Path, volume: &NewVolume<'_>) -> Result<(Self, VolumeKey), LuksError> {
        let device = Device::open(path)?;
        let needed = DATA_OFFSET + LEAST_DATA;
        if device.size() < needed {
            return Err(LuksError::Small {
                path: path.to_owned(),
                size: device.size(),
                needed,
            });
        }
        let header_error = |source| LuksError::Header {
            path: path.to_owned(),
            source,
        };
        let mut id = [0; 16];
        fill(&mut id).map_err(LuksError::Random)?;
        let key = VolumeKey::generate(volume.cipher.key_size(), &mut fill).map_err(header_error)?;
        let new = bastide_luks_format::NewVolume {
            uuid: uuid::Builder::from_random_bytes(id).into_uuid(),
            label: volume.label,
            cipher: volume.cipher,
        };
        let mut header = Header::new(&new, &key, &mut fill).map_err(header_error)?;
        for token in volume.tokens {
            header.set_token(token.clone()).map_err(header_error)?;
        }
        erase(&device, &header)?;
        let mut made = Self { device, header };
        made.add_keyslot(Some(0), &key, volume.passphrase, volume.effort)?;
        Ok((made, key))
    }

    /// Reads both copies of the header and writes again the one that is damaged, old or
    /// cannot be read.
    ///
    /// # Errors
    /// The device cannot be opened, or neither copy is valid.
    pub fn open(path: &Path) -> Result<Opened, LuksError> {
        Self::on(Device::open(path)?)
    }

    fn on(device: Device) -> Result<Opened, LuksError> {
        let primary = read_copy(&device, Place::Primary, 0);
        let secondary = match &primary {
            Ok(header) => read_copy(&device, Place::Secondary, u64::from(header.size())),
            // Nothing says how large it is: look at all places where it may be.
            Err(_) => find_secondary(&device),
        };
        let chosen = choose(primary, secondary, &mut fill).map_err(|source| LuksError::Header {
            path: device.path().to_owned(),
            source,
        })?;
        let volume = Self {
            device,
            header: chosen.header,
        };
        let repair = chosen.repair.map(|place| volume.write_copy(place));
        Ok(Opened {
            volume,
            repaired: matches!(repair, Some(Ok(()))),
            unrepaired: repair.and_then(Result::err),
        })
    }

    /// The header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Identity of the volume.
    pub fn uuid(&self) -> Uuid {
        self.header.uuid()
    }

    /// Tries a passphrase on every key slot.
    ///
    /// # Errors
    /// A key slot cannot be read or its derivation cannot be done. A wrong passphrase
    /// is no error.
    pub fn unlock(&self, passphrase: &Passphrase) -> Result<Unlocked, LuksError> {
        for (keyslot, _) in self.header.keyslots() {
            if let Unlocked::Opened { keyslot, key } = self.unlock_keyslot(keyslot, passphrase)? {
                return Ok(Unlocked::Opened { keyslot, key });
            }
        }
        Ok(Unlocked::Refused)
    }

    /// Tries a passphrase on one key slot.
    ///
    /// # Errors
    /// There is no such key slot, it cannot be read or its derivation cannot be done. A
    /// wrong passphrase is no error.
    pub fn unlock_keyslot(
        &self,
        number: u32,
        passphrase: &Passphrase,
    ) -> Result<Unlocked, LuksError> {
        let keyslot = self
            .header
            .keyslot(number)
            .ok_or_else(|| self.keyslot_error(KeyslotError::Missing(number)))?;
        let area = keyslot.area();
        // At most 2 MiB: the header's parser sees to it.
        let material = self.device.read(area.offset(), area.size() as usize)?;
        let unlock = self
            .header
            .unlock(number, material.bytes(), passphrase)
            .map_err(|error| self.keyslot_error(error))?;
        Ok(match unlock {
            Unlock::Opened(key) => Unlocked::Opened {
                keyslot: number,
                key,
            },
            Unlock::Refused => Unlocked::Refused,
        })
    }

    /// Adds a key slot of that number, or the first free one, and returns its number.
    ///
    /// # Errors
    /// The key is not the volume's, the number is taken, there is no room, or the
    /// device cannot be written; the key slots are as before then.
    pub fn add_keyslot(
        &mut self,
        number: Option<u32>,
        key: &VolumeKey,
        passphrase: &Passphrase,
        effort: Effort,
    ) -> Result<u32, LuksError> {
        let new = self
            .header
            .add_keyslot(number, key, passphrase, effort, &mut fill)
            .map_err(|error| self.keyslot_error(error))?;
        // Material first: a header that tells of it must never be alone.
        self.device.write(new.offset, &new.material)?;
        let number = new.number;
        self.commit(new.into_header())?;
        Ok(number)
    }

    /// Removes a key slot: overwrites its area with random bytes, then changes the
    /// header. After a power cut in between, the key slot is still listed, but nothing
    /// opens it; removing it again finishes.
    ///
    /// # Errors
    /// There is no such key slot, it is the last one, or the device cannot be written.
    pub fn remove_keyslot(&mut self, number: u32) -> Result<(), LuksError> {
        let header = self
            .header
            .without_keyslot(number)
            .map_err(|error| self.header_error(error))?;
        if let Some(keyslot) = self.header.keyslot(number) {
            let area = keyslot.area();
            let mut noise = vec![0; area.size() as usize];
            fill(&mut noise).map_err(LuksError::Random)?;
            self.device.write(area.offset(), &noise)?;
        }
        self.commit(header)
    }

    /// Puts a token in: in place of the one of its type, if there is one. Returns its
    /// number.
    ///
    /// # Errors
    /// There is no room, or the device cannot be written.
    pub fn set_token(&mut self, token: Token) -> Result<u32, LuksError> {
        let mut header = self.header.clone();
        let number = header
            .set_token(token)
            .map_err(|error| self.header_error(error))?;
        self.commit(header)?;
        Ok(number)
    }

    /// Takes a token out.
    ///
    /// # Errors
    /// There is none of that number, or the device cannot be written.
    pub fn remove_token(&mut self, number: u32) -> Result<(), LuksError> {
        let mut header = self.header.clone();
        header
            .remove_token(number)
            .map_err(|error| self.header_error(error))?;
        self.commit(header)
    }

    /// Makes sure that header and caller agree on the data.
    pub(crate) fn demand(&self, wanted: Cipher) -> Result<(), LuksError> {
        let segment = self
            .header
            .segment()
            .map_err(|error| self.header_error(error))?;
        let found = segment.cipher().map_err(|error| self.header_error(error))?;
        if found != wanted {
            return Err(LuksError::OtherCipher { found, wanted });
        }
        if segment.offset() != DATA_OFFSET || segment.sector_size() != SECTOR_SIZE {
            return Err(LuksError::Layout(self.device.path().to_owned()));
        }
        Ok(())
    }

    /// Writes a changed header: the primary copy, and once it is on the disk, the
    /// secondary.
    fn commit(&mut self, mut header: Header) -> Result<(), LuksError> {
        header
            .count_change()
            .map_err(|error| self.header_error(error))?;
        let before = std::mem::replace(&mut self.header, header);
        if let Err(error) = self.write_copy(Place::Primary) {
            self.header = before;
            return Err(error);
        }
        self.write_copy(Place::Secondary)
    }

    fn write_copy(&self, place: Place) -> Result<(), LuksError> {
        let copy = self
            .header
            .encode(place)
            .map_err(|error| self.header_error(error))?;
        self.device.write(place.offset(self.header.size()), &copy)
    }

    pub(crate) fn header_error(&self, source: HeaderError) -> LuksError {
        LuksError::Header {
            path: self.device.path().to_owned(),
            source,
        }
    }

    fn keyslot_error(&self, source: KeyslotError) -> LuksError {
        LuksError::Keyslot {
            path: self.device.path().to_owned(),
            source,
        }
    }
}

/// A copy at an offset. A disk that does not give it out is a flaw of that copy only: the
/// other is there for this.
fn read_copy(device: &Device, place: Place, offset: u64) -> Result<Header, HeaderError> {
    let read = |length: u32| {
        if offset + u64::from(length) > device.size() {
            return Err(HeaderError::Short);
        }
        device
            .read(offset, length as usize)
            .map_err(|error| HeaderError::Unreadable(std::io::Error::other(error)))
    };
    let [least, ..] = HEADER_SIZES;
    let size = Header::told_size(read(least)?.bytes(), place)?;
    Header::parse(read(size)?.bytes(), place)
}

fn find_secondary(device: &Device) -> Result<Header, HeaderError> {
    HEADER_SIZES
        .iter()
        .find_map(|size| read_copy(device, Place::Secondary, u64::from(*size)).ok())
        .ok_or(HeaderError::Magic(Place::Secondary))
}

/// Zeros over all places where a header may be, random bytes over the key slots' area.
fn erase(device: &Device, header: &Header) -> Result<(), LuksError> {
    const CHUNK: usize = 1024 * 1024;
    device.write(0, &vec![0; CHUNK])?;
    let areas = header.areas();
    let mut offset = 0;
    while offset < DATA_OFFSET {
        let mut chunk = vec![0; CHUNK];
        fill(&mut chunk).map_err(LuksError::Random)?;
        if offset < areas.start {
            let end = (areas.start - offset).min(CHUNK as u64) as usize;
            chunk[..end].fill(0);
        }
        device.write(offset, &chunk)?;
        offset += CHUNK as u64;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format(tokens: &[Token]) -> (tempfile::NamedTempFile, Volume) {
        let image = tempfile::NamedTempFile::new().unwrap();
        image.as_file().set_len(64 << 20).unwrap();
        let new = NewVolume {
            label: "state",
            cipher: Cipher::AesXtsHmacSha256,
            passphrase: &Passphrase::new(b"a passphrase of many random bits").unwrap(),
            effort: Effort::HighEntropy,
            tokens,
        };
        let (volume, _) = Volume::format(image.path(), &new).unwrap();
        (image, volume)
    }

    /// A device of which nothing from `end` on can be read any more.
    fn cut(image: &tempfile::NamedTempFile, end: u64) -> Device {
        let device = Device::open(image.path()).unwrap();
        image.as_file().set_len(end).unwrap();
        device
    }

    #[test]
    fn one_copy_that_cannot_be_read_is_survived_and_written_again() {
        let (image, made) = format(&[]);
        let opened = Volume::on(cut(&image, 0x4000)).unwrap();
        assert!(opened.repaired && opened.unrepaired.is_none());
        assert_eq!(opened.volume.uuid(), made.uuid());
        let (none, _) = format(&[]);
        assert!(matches!(
            Volume::on(cut(&none, 0)),
            Err(LuksError::Header {
                source: HeaderError::Unreadable(_),
                ..
            })
        ));
    }

    #[test]
    fn one_that_cannot_be_written_either_is_told_of() {
        use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
        use std::os::fd::AsRawFd;

        let (image, made) = format(&[]);
        let memory = memfd_create("volume", MemfdFlags::ALLOW_SEALING).unwrap();
        let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
        std::fs::copy(image.path(), &path).unwrap();
        let device = Device::open(Path::new(&path)).unwrap();
        rustix::fs::ftruncate(&memory, 0x4000).unwrap();
        fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::GROW).unwrap();
        let opened = Volume::on(device).unwrap();
        assert!(!opened.repaired);
        assert!(matches!(opened.unrepaired, Some(LuksError::Write { .. })));
        assert_eq!(opened.volume.uuid(), made.uuid());
    }

    #[test]
    fn the_first_header_on_the_disk_has_the_tokens() {
        let token = Token::new("begun", &[], Default::default()).unwrap();
        let (image, made) = format(&[token]);
        for volume in [made, Volume::open(image.path()).unwrap().volume] {
            assert_eq!(volume.header().sequence(), 1, "one header was written");
            assert!(volume.header().token("begun").is_some());
        }
    }
}
