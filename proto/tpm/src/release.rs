//! The number of a release, as the TPM compares it.

use std::fmt;

pub use bastide_boot::ReleaseError;
use bastide_boot::release_number;

/// The number of a release: version `1.2.3` has 1002003. Larger is newer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Release(u64);

impl Release {
    /// The release with this number.
    #[must_use]
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The release of a version.
    ///
    /// # Errors
    /// The version does not begin with three numbers below 1000, joined by dots.
    pub fn from_version(version: &str) -> Result<Self, ReleaseError> {
        release_number(version).map(Self)
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// As the version index holds it: 8 bytes, big-endian, so that the TPM's unsigned
    /// comparison is that of the numbers.
    #[must_use]
    pub const fn to_bytes(self) -> [u8; 8] {
        self.0.to_be_bytes()
    }

    /// From what the version index holds.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_be_bytes(bytes))
    }
}

/// As a version, for people: `1.2.3`.
impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{}.{}.{}",
            self.0 / 1_000_000,
            self.0 / 1_000 % 1_000,
            self.0 % 1_000
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_compare_as_numbers_do() {
        let old = Release::from_version("0.9.255").unwrap();
        let new = Release::from_version("1.0.0~rc1").unwrap();
        assert!(old < new && old.to_bytes() < new.to_bytes());
        assert_eq!(Release::from_bytes(new.to_bytes()), new);
        assert_eq!(new.to_string(), "1.0.0");
        assert_eq!(old.to_string(), "0.9.255");
    }
}
