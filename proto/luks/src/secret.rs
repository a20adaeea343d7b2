//! Secrets: wiped when dropped, never shown.

use std::fmt;

use zeroize::Zeroizing;

use crate::{HeaderError, Random};

/// Longest passphrase, in bytes: what cryptsetup takes at a prompt.
pub const LONGEST_PASSPHRASE: usize = 512;

/// Longest volume key, in bytes.
const LONGEST_KEY: usize = 128;

/// Shortest volume key, in bytes.
const SHORTEST_KEY: usize = 16;

/// What guards a key slot. Bytes, not text: nothing is trimmed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<Vec<u8>>);

impl Passphrase {
    /// A passphrase of these bytes.
    ///
    /// # Errors
    /// It is empty or longer than [`LONGEST_PASSPHRASE`].
    pub fn new(bytes: &[u8]) -> Result<Self, HeaderError> {
        if bytes.is_empty() || bytes.len() > LONGEST_PASSPHRASE {
            return Err(HeaderError::Passphrase(bytes.len()));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Passphrase")
    }
}

/// The key that a volume is encrypted with.
#[derive(Clone)]
pub struct VolumeKey(Zeroizing<Vec<u8>>);

impl VolumeKey {
    /// A key of these bytes.
    ///
    /// # Errors
    /// No cipher has a key of that length.
    pub fn new(bytes: &[u8]) -> Result<Self, HeaderError> {
        if !(SHORTEST_KEY..=LONGEST_KEY).contains(&bytes.len()) {
            return Err(HeaderError::KeySize(bytes.len()));
        }
        Ok(Self(Zeroizing::new(bytes.to_vec())))
    }

    /// A new key of a cipher's size.
    ///
    /// # Errors
    /// There are no random bytes.
    pub fn generate(size: usize, random: Random<'_>) -> Result<Self, HeaderError> {
        let mut bytes = Zeroizing::new(vec![0; size]);
        random(&mut bytes).map_err(HeaderError::Random)?;
        Self::new(&bytes)
    }

    /// The key, to hand to the kernel or to derive from.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for VolumeKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("VolumeKey")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_shown() {
        let passphrase = Passphrase::new(b"very secret").unwrap();
        assert_eq!(format!("{passphrase:?}"), "Passphrase");
        let key = VolumeKey::new(&[0x41; 64]).unwrap();
        assert_eq!(format!("{key:?}"), "VolumeKey");
    }

    #[test]
    fn lengths_are_bounded() {
        assert!(Passphrase::new(b"").is_err());
        assert!(Passphrase::new(&[1; 513]).is_err());
        assert!(Passphrase::new(&[1; 512]).is_ok());
        assert!(VolumeKey::new(&[1; 15]).is_err());
        assert!(VolumeKey::new(&[1; 129]).is_err());
    }
}
