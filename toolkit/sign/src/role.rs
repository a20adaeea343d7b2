//! Which keys there are, and what each is for.

use std::fmt;

/// One of the owner's keys. They are apart because they are used at different
/// times, by different people, and lost or replaced one by one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// The platform key: owns the firmware's Secure Boot configuration.
    Pk,
    /// The key exchange key: may change the signature databases.
    Kek,
    /// The signature database key: signs boot loader, kernel bundle and modules.
    Db,
    /// Signs the root hashes of Core and cage images.
    Image,
    /// Signs the PCR values under which a TPM gives out the state key.
    Pcr,
}

impl Role {
    /// All of them, in the order in which they vouch for each other.
    pub const ALL: [Self; 5] = [Self::Pk, Self::Kek, Self::Db, Self::Image, Self::Pcr];

    /// The name of its files, without suffix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Kek => "KEK",
            Self::Db => "db",
            Self::Image => "image",
            Self::Pcr => "pcr",
        }
    }

    /// The prefix of the environment variables that tell a step about it.
    #[must_use]
    pub fn variable(self) -> String {
        self.name().to_uppercase()
    }

    /// The size of its RSA modulus. 4096 bits, but for the PCR key: TPMs need not
    /// take more than 2048 (TCG PC Client Platform TPM Profile).
    #[must_use]
    pub fn bits(self) -> u32 {
        match self {
            Self::Pcr => 2048,
            _ => 4096,
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
