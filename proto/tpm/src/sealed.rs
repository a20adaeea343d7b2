//! The sealed machine secret, as it is kept beside the volume.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `bastide`, and the version of the format: 2 |
//! | 8..42 | name of the storage root key it is sealed under |
//! | 42..76 | name of the PCR key whose releases may open it |
//! | 76..108 | PCR 7 when it was sealed |
//! | 108..112 | which sealing of the machine secret it is, big-endian |
//! | then | `TPM2B_PUBLIC`, `TPM2B_PRIVATE` |
//!
//! Whoever holds the disk can change all of it. What comes before the two structures
//! only serves to say why a TPM will refuse; the TPM itself goes by the policy within.

use crate::marshal::sized;
use crate::{Digest, Name, sealing_policy};

const MAGIC: &[u8; 8] = b"bastide\x02";
const HEADER: usize = 112;
const LARGEST_PUBLIC: usize = 256;
const LARGEST_PRIVATE: usize = 1024;

/// Why bytes are no sealed machine secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// They do not begin as one, or are of a later format.
    #[error("no sealed machine secret that this release can read")]
    Magic,
    /// They end too early, go on too long or hold a bad length or name.
    #[error("the sealed machine secret is damaged")]
    Damaged,
}

/// A secret that a TPM gives out under [`sealing_policy`] only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Name of the storage root key it is sealed under: which TPM it is for.
    pub storage_root: Name,
    /// Name of the PCR key whose releases may open it.
    pub pcr_key: Name,
    /// PCR 7 when it was sealed.
    pub pcr_7: Digest,
    /// Which sealing it is: [`crate::Record::sealings`] while it is the current one.
    pub sealings: u32,
    /// `TPMT_PUBLIC`.
    pub public: Vec<u8>,
    /// The encrypted private part.
    pub private: Vec<u8>,
}

impl Sealed {
    /// The largest encoding, in bytes.
    pub const LARGEST: usize = HEADER + 4 + LARGEST_PUBLIC + LARGEST_PRIVATE;

    /// As bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(self.storage_root.as_bytes());
        bytes.extend_from_slice(self.pcr_key.as_bytes());
        bytes.extend_from_slice(self.pcr_7.as_bytes());
        bytes.extend_from_slice(&self.sealings.to_be_bytes());
        sized(&mut bytes, &self.public);
        sized(&mut bytes, &self.private);
        bytes
    }

    /// Reads the bytes.
    ///
    /// # Errors
    /// They are no such encoding.
    pub fn decode(bytes: &[u8]) -> Result<Self, SealedError> {
        let rest = bytes.strip_prefix(MAGIC).ok_or(SealedError::Magic)?;
        let damaged = SealedError::Damaged;
        let (storage_root, rest) = rest.split_at_checked(Name::SIZE).ok_or(damaged)?;
        let (pcr_key, rest) = rest.split_at_checked(Name::SIZE).ok_or(damaged)?;
        let (pcr_7, rest) = rest.split_first_chunk::<32>().ok_or(damaged)?;
        let (sealings, rest) = rest.split_first_chunk::<4>().ok_or(damaged)?;
        let (public, rest) = take_sized(rest, LARGEST_PUBLIC).ok_or(damaged)?;
        let (private, rest) = take_sized(rest, LARGEST_PRIVATE).ok_or(damaged)?;
        if !rest.is_empty() {
            return Err(damaged);
        }
        Ok(Self {
            storage_root: Name::from_bytes(storage_root).ok_or(damaged)?,
            pcr_key: Name::from_bytes(pcr_key).ok_or(damaged)?,
            pcr_7: Digest::from_bytes(*pcr_7),
            sealings: u32::from_be_bytes(*sealings),
            public: public.to_vec(),
            private: private.to_vec(),
        })
    }

    /// The policy that the named key, PCR 7 and the number give: what the TPM will ask for, unless
    /// somebody changed the header.
    #[must_use]
    pub fn policy(&self) -> Digest {
        sealing_policy(&self.pcr_key, &self.pcr_7, self.sealings)
    }
}

fn take_sized(bytes: &[u8], most: usize) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    if length == 0 || length > most {
        return None;
    }
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed() -> Sealed {
        Sealed {
            storage_root: Name::of_public_area(b"root"),
            pcr_key: Name::of_public_area(b"key"),
            pcr_7: Digest::of(&[b"secure boot"]),
            sealings: 3,
            public: vec![1; 78],
            private: vec![2; 160],
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        assert_eq!(Sealed::decode(&sealed().encode()), Ok(sealed()));
    }

    #[test]
    fn every_other_length_is_refused() {
        let bytes = sealed().encode();
        for end in 0..bytes.len() {
            assert!(Sealed::decode(&bytes[..end]).is_err(), "{end}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert_eq!(Sealed::decode(&longer), Err(SealedError::Damaged));
        let mut large = sealed();
        large.private = vec![0; LARGEST_PRIVATE + 1];
        assert_eq!(Sealed::decode(&large.encode()), Err(SealedError::Damaged));
        let mut later = bytes;
        later[7] = 3;
        assert_eq!(Sealed::decode(&later), Err(SealedError::Magic));
    }
}
