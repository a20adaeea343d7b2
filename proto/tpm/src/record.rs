//! The provisioning record: what the machine knows of its own state, in the TPM.
//!
//! It decides whether this is the first boot. The boot partition or the disk cannot
//! say: whoever holds the disk writes them.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `bastide` and a zero |
//! | 8..10 | version of the format: 2 |
//! | 10..12 | phase: 1 provisioning, 2 provisioned |
//! | 12..16 | how often the machine secret was sealed: at [`SEALINGS_OFFSET`] for policies |
//! | 16..24 | release that wrote the record |
//! | 24..40 | UUID of the state volume |
//! | 40..72 | binding of the state volume: what its owner computes from its key |
//! | 72..104 | SHA-256 of the PCR key's public half |
//! | 104..112 | first boot that the log's counter counts; 0 while provisioning |
//! | 112..128 | epoch of the log; 0 while provisioning |
//! | 128..144 | first 16 bytes of SHA-256 over the rest |
//!
//! Integers are big-endian.

use crate::{Digest, RECORD_SIZE, Release};

const SIZE: usize = RECORD_SIZE as usize;
const MAGIC: &[u8; 8] = b"bastide\0";
const VERSION: u16 = 2;
const CHECKED: usize = 128;

/// Where the record holds how often the machine secret was sealed, in bytes.
pub const SEALINGS_OFFSET: u16 = 12;

/// How far the machine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Provisioning began: nothing of value is in the state yet.
    Provisioning,
    /// The state is in use: it is never made anew.
    Provisioned,
}

/// The provisioning record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// How far the machine is.
    pub phase: Phase,
    /// How often the machine secret was sealed: tells an old sealed object from the
    /// current one.
    pub sealings: u32,
    /// The release that wrote the record.
    pub release: Release,
    /// UUID of the state volume.
    pub volume: [u8; 16],
    /// What ties the record to the volume's content: a digest that only its key gives.
    pub binding: Digest,
    /// Whose releases may open it: the fingerprint of the PCR key.
    pub pcr_key: Digest,
    /// The first boot under this TPM's log counter: what it stood at when it was made,
    /// and one.
    pub first_boot: u64,
    /// Random, made anew with each log counter: boots of two TPMs may have one number.
    pub epoch: [u8; 16],
}

/// Why bytes are no provisioning record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another length.
    #[error("a provisioning record has {RECORD_SIZE} bytes, not {0}")]
    Size(usize),
    /// Not a record of ours.
    #[error("the provisioning record does not begin with the word bastide")]
    Magic,
    /// The sum over the record is another.
    #[error("the provisioning record is damaged")]
    Damaged,
    /// Made by a release that knows more.
    #[error("the provisioning record has version {0}, and this release reads version {VERSION}")]
    Version(u16),
    /// Bits that have no meaning in this version.
    #[error("the provisioning record holds what version {VERSION} does not know")]
    Unknown,
}

impl Record {
    /// Whether it is of the state with this binding, and that is in use.
    #[must_use]
    pub fn is_in_use(&self, binding: &Digest) -> bool {
        self.phase == Phase::Provisioned && self.binding == *binding
    }

    /// Whether another state than the one with this binding is in use. One that was only
    /// begun holds nothing.
    #[must_use]
    pub fn is_of_another(&self, binding: &Digest) -> bool {
        self.phase == Phase::Provisioned && self.binding != *binding
    }

    /// As the NV index holds it.
    #[must_use]
    pub fn encode(&self) -> [u8; SIZE] {
        let phase: u16 = match self.phase {
            Phase::Provisioning => 1,
            Phase::Provisioned => 2,
        };
        let mut bytes = [0; SIZE];
        bytes[..8].copy_from_slice(MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_be_bytes());
        bytes[10..12].copy_from_slice(&phase.to_be_bytes());
        bytes[12..16].copy_from_slice(&self.sealings.to_be_bytes());
        bytes[16..24].copy_from_slice(&self.release.to_bytes());
        bytes[24..40].copy_from_slice(&self.volume);
        bytes[40..72].copy_from_slice(self.binding.as_bytes());
        bytes[72..104].copy_from_slice(self.pcr_key.as_bytes());
        bytes[104..112].copy_from_slice(&self.first_boot.to_be_bytes());
        bytes[112..CHECKED].copy_from_slice(&self.epoch);
        let sum = Digest::of(&[&bytes[..CHECKED]]);
        bytes[CHECKED..].copy_from_slice(&sum.as_bytes()[..SIZE - CHECKED]);
        bytes
    }

    /// Reads what the NV index holds.
    ///
    /// # Errors
    /// It is no record, damaged, or of a later version.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let bytes: &[u8; SIZE] = bytes
            .try_into()
            .map_err(|_| RecordError::Size(bytes.len()))?;
        if !bytes.starts_with(MAGIC) {
            return Err(RecordError::Magic);
        }
        let sum = Digest::of(&[&bytes[..CHECKED]]);
        if bytes[CHECKED..] != sum.as_bytes()[..SIZE - CHECKED] {
            return Err(RecordError::Damaged);
        }
        let version = u16::from_be_bytes(field(bytes, 8));
        if version != VERSION {
            return Err(RecordError::Version(version));
        }
        let phase = match u16::from_be_bytes(field(bytes, 10)) {
            1 => Phase::Provisioning,
            2 => Phase::Provisioned,
            _ => return Err(RecordError::Unknown),
        };
        Ok(Self {
            phase,
            sealings: u32::from_be_bytes(field(bytes, 12)),
            release: Release::from_bytes(field(bytes, 16)),
            volume: field(bytes, 24),
            binding: Digest::from_bytes(field(bytes, 40)),
            pcr_key: Digest::from_bytes(field(bytes, 72)),
            first_boot: u64::from_be_bytes(field(bytes, 104)),
            epoch: field(bytes, 112),
        })
    }
}

fn field<const LENGTH: usize>(bytes: &[u8; SIZE], start: usize) -> [u8; LENGTH] {
    std::array::from_fn(|place| bytes[start + place])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            phase: Phase::Provisioned,
            sealings: 3,
            release: Release::from_number(1_002_003),
            volume: [0xab; 16],
            binding: Digest::of(&[b"volume"]),
            pcr_key: Digest::of(&[b"key"]),
            first_boot: 7,
            epoch: [0xcd; 16],
        }
    }

    #[test]
    fn comes_back_as_it_was() {
        assert_eq!(Record::decode(&record().encode()), Ok(record()));
    }

    #[test]
    fn policies_find_the_sealings() {
        let place = usize::from(SEALINGS_OFFSET);
        assert_eq!(record().encode()[place..place + 4], [0, 0, 0, 3]);
    }

    #[test]
    fn only_the_state_on_record_is_in_use() {
        let (ours, other) = (Digest::of(&[b"volume"]), Digest::of(&[b"other"]));
        assert!(record().is_in_use(&ours) && !record().is_in_use(&other));
        let begun = Record {
            phase: Phase::Provisioning,
            ..record()
        };
        assert!(!begun.is_in_use(&ours));
        assert!(record().is_of_another(&other) && !record().is_of_another(&ours));
        assert!(!begun.is_of_another(&other), "nothing was in it");
    }

    #[test]
    fn a_changed_bit_is_found() {
        let bytes = record().encode();
        for bit in 0..SIZE * 8 {
            let mut changed = bytes;
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&changed).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        let resealed = |place: usize, value: u8| {
            let mut bytes = record().encode();
            bytes[place] = value;
            let sum = Digest::of(&[&bytes[..CHECKED]]);
            bytes[CHECKED..].copy_from_slice(&sum.as_bytes()[..16]);
            Record::decode(&bytes)
        };
        assert_eq!(resealed(9, 1), Err(RecordError::Version(1)));
        assert_eq!(resealed(11, 3), Err(RecordError::Unknown));
        assert_eq!(Record::decode(&[0; SIZE]), Err(RecordError::Magic));
        assert_eq!(Record::decode(&[0; 127]), Err(RecordError::Size(127)));
    }
}
