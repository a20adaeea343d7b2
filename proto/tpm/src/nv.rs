//! The NV indices that Bastide defines, to the bit.
//!
//! An index of ours with other attributes is not ours: somebody else could write it, or
//! make it disappear. Its name says so, since it is the digest of all of them.

use crate::marshal;
use crate::{Digest, Name, Policy};

/// Handle of an NV index (`TPM_HT_NV_INDEX`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NvIndex(u32);

impl NvIndex {
    /// The index with this handle, which is 0x01 and three bytes.
    #[must_use]
    pub const fn from_handle(handle: u32) -> Self {
        Self(handle)
    }

    /// Its handle.
    #[must_use]
    pub const fn handle(self) -> u32 {
        self.0
    }
}

/// `TPMA_NV` (part 2, 13.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvAttributes(u32);

impl NvAttributes {
    /// Written with the owner's authorisation.
    pub const OWNER_WRITE: Self = Self(1 << 1);
    /// Written with the index's own authorisation.
    pub const AUTH_WRITE: Self = Self(1 << 2);
    /// `TPM_NT_COUNTER`: only counts up, for the life of the TPM.
    pub const COUNTER: Self = Self(1 << 4);
    /// Read with the owner's authorisation.
    pub const OWNER_READ: Self = Self(1 << 17);
    /// Read with the index's own authorisation.
    pub const AUTH_READ: Self = Self(1 << 18);
    /// Read by whoever satisfies the index's policy.
    pub const POLICY_READ: Self = Self(1 << 19);
    /// Outside of the protection against guessing: needs none, locks out nobody.
    pub const NO_DA: Self = Self(1 << 25);
    /// Set by the TPM once the index was written.
    pub const WRITTEN: Self = Self(1 << 29);

    /// Both sets together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As the TPM has them.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

/// An NV index as Bastide defines it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NvDefinition {
    /// Which.
    pub index: NvIndex,
    /// How it may be used, before the first write.
    pub attributes: NvAttributes,
    /// Its size in bytes.
    pub size: u16,
    /// What its policy allows whom, if it has one.
    pub policy: NvPolicy,
}

/// The policy of an NV index of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NvPolicy {
    /// None: no policy opens it.
    None,
    /// `PolicyCommandCode(NV_Read)`: anybody may read.
    ReadByEverybody,
}

/// Bytes of the provisioning record.
pub const RECORD_SIZE: u16 = 144;

/// Bytes of the version counter.
pub const VERSION_SIZE: u16 = 8;

const READ_BY_EVERYBODY_WRITTEN_BY_OWNER: NvAttributes = NvAttributes::OWNER_WRITE
    .and(NvAttributes::OWNER_READ)
    .and(NvAttributes::AUTH_READ)
    .and(NvAttributes::NO_DA);

/// The provisioning record: [`crate::Record`]. Its authorisation is empty, so everybody
/// reads it; only the owner writes.
pub const RECORD: NvDefinition = NvDefinition {
    index: NvIndex(0x01b0_5701),
    attributes: READ_BY_EVERYBODY_WRITTEN_BY_OWNER,
    size: RECORD_SIZE,
    policy: NvPolicy::None,
};

/// The oldest release that may open the state, 8 bytes big-endian. Read and written as
/// [`RECORD`] is.
pub const VERSION: NvDefinition = NvDefinition {
    index: NvIndex(0x01b0_5702),
    attributes: READ_BY_EVERYBODY_WRITTEN_BY_OWNER,
    size: VERSION_SIZE,
    policy: NvPolicy::None,
};

/// The counter that anchors the log. Counted up by who knows its authorisation, and
/// read by everybody under its policy.
pub const LOG_COUNTER: NvDefinition = NvDefinition {
    index: NvIndex(0x01b0_5703),
    attributes: NvAttributes::COUNTER
        .and(NvAttributes::AUTH_WRITE)
        .and(NvAttributes::AUTH_READ)
        .and(NvAttributes::OWNER_READ)
        .and(NvAttributes::POLICY_READ)
        .and(NvAttributes::NO_DA),
    size: 8,
    policy: NvPolicy::ReadByEverybody,
};

impl NvDefinition {
    /// All of them.
    pub const ALL: [Self; 3] = [RECORD, VERSION, LOG_COUNTER];

    /// Its `TPMS_NV_PUBLIC`, marshalled. The TPM marks an index that was written once
    /// for good.
    #[must_use]
    pub fn public_area(&self, written: bool) -> Vec<u8> {
        let attributes = if written {
            self.attributes.and(NvAttributes::WRITTEN)
        } else {
            self.attributes
        };
        let mut area = Vec::with_capacity(46);
        area.extend_from_slice(&self.index.0.to_be_bytes());
        area.extend_from_slice(&marshal::SHA256.to_be_bytes());
        area.extend_from_slice(&attributes.0.to_be_bytes());
        match self.policy_digest() {
            Some(digest) => marshal::sized(&mut area, digest.as_bytes()),
            None => marshal::sized(&mut area, &[]),
        }
        area.extend_from_slice(&self.size.to_be_bytes());
        area
    }

    /// Its name, before or after the first write.
    #[must_use]
    pub fn name(&self, written: bool) -> Name {
        Name::of_public_area(&self.public_area(written))
    }

    /// The digest of its policy, if it has one.
    #[must_use]
    pub fn policy_digest(&self) -> Option<Digest> {
        match self.policy {
            NvPolicy::None => None,
            NvPolicy::ReadByEverybody => {
                Some(Policy::new().command_code(marshal::NV_READ).digest())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_public_area_is_that_of_part_2() {
        assert_eq!(
            hex::encode(VERSION.public_area(true)),
            "01b05702000b2206000200000008"
        );
        assert_eq!(VERSION.public_area(false)[6], 0x02);
    }

    #[test]
    fn names_are_apart() {
        let names: std::collections::HashSet<Name> = NvDefinition::ALL
            .iter()
            .flat_map(|index| [index.name(false), index.name(true)])
            .collect();
        assert_eq!(names.len(), 6);
    }
}
