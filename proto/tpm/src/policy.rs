//! Policy digests (part 3, 23; part 1, 19.7).
//!
//! Two policies belong together. The sealed object's own says "whatever the PCR key
//! approved, Secure Boot as it was, and the machine was not sealed again since"; it never
//! changes. What the PCR key approves
//! comes signed with each release: "the values that this kernel bundle leaves in PCR
//! 11, and no newer release was here". So an update needs no new sealing.
//!
//! The same key also signs systemd's policy for PCR 11 alone, which every bundle carries
//! for systemd's tools. That one must open nothing of ours, or an old release would pass
//! the version index by. So what we approve is signed together with a word of ours, the
//! policy reference, and the sealed object demands that word.

use crate::marshal;
use crate::{Digest, Name, NvDefinition, RECORD, Release, SEALINGS_OFFSET, VERSION};

/// The policy reference: what the PCR key signs a policy of ours together with, and
/// systemd's never.
pub const POLICY_REFERENCE: &str = "bastide";

/// What the PCR key signs to approve a policy: SHA-256 of this is the `aHash` of
/// `PolicyAuthorize` (part 3, 23.16).
#[must_use]
pub fn approval(policy: &Digest) -> Vec<u8> {
    [policy.as_bytes(), POLICY_REFERENCE.as_bytes()].concat()
}

/// A PCR of the SHA-256 bank, 0 to 23.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pcr(u8);

/// PCR 7: whether Secure Boot is on, and with whose keys.
pub const SECURE_BOOT_PCR: Pcr = Pcr(7);

/// PCR 11: systemd-stub measures the kernel bundle into it, the initramfs its phases.
pub const KERNEL_BUNDLE_PCR: Pcr = Pcr(11);

impl Pcr {
    /// How many a PC's TPM has.
    pub const COUNT: u8 = 24;

    /// The PCR of this number; `None` from 24 on.
    #[must_use]
    pub const fn new(number: u8) -> Option<Self> {
        if number < Self::COUNT {
            Some(Self(number))
        } else {
            None
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        self.0
    }

    /// `TPML_PCR_SELECTION` of this one PCR in the SHA-256 bank.
    #[must_use]
    pub fn selection(self) -> Vec<u8> {
        let mut selection = vec![0, 0, 0, 1];
        selection.extend_from_slice(&marshal::SHA256.to_be_bytes());
        let mut bitmap = [0u8; 3];
        bitmap[usize::from(self.0 / 8)] = 1 << (self.0 % 8);
        selection.push(3);
        selection.extend_from_slice(&bitmap);
        selection
    }
}

/// A policy in the making: what a TPM's policy session holds after the same commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Policy(Digest);

impl Policy {
    /// No condition yet.
    pub const fn new() -> Self {
        Self(Digest::ZERO)
    }

    /// A policy that stands at this digest.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// `PolicyPCR`: the PCR of the SHA-256 bank holds this value.
    pub fn pcr(self, pcr: Pcr, value: &Digest) -> Self {
        let values = Digest::of(&[value.as_bytes()]);
        self.update(marshal::POLICY_PCR, &[&pcr.selection(), values.as_bytes()])
    }

    /// `PolicyNV`: the version index holds at most this release.
    pub fn no_newer_than(self, release: Release) -> Self {
        Self(Digest::of(&[self.0.as_bytes(), &version_suffix(release)]))
    }

    /// `PolicyNV`: the record says that the machine secret was sealed so often.
    pub fn sealed_so_often(self, sealings: u32) -> Self {
        let suffix = nv_suffix(
            &RECORD,
            &sealings.to_be_bytes(),
            SEALINGS_OFFSET,
            marshal::EQUAL,
        );
        Self(Digest::of(&[self.0.as_bytes(), &suffix]))
    }

    /// `PolicyCommandCode`: for this command only.
    pub fn command_code(self, code: u32) -> Self {
        self.update(marshal::POLICY_COMMAND_CODE, &[&code.to_be_bytes()])
    }

    /// `PolicyAuthorize` with [`POLICY_REFERENCE`]: whatever policy the key with this name
    /// approved under that word stands for what was said so far, so that only the key and
    /// the word remain.
    pub fn authorized_by(key: &Name) -> Self {
        let first = Self::new().update(marshal::POLICY_AUTHORIZE, &[key.as_bytes()]);
        // The policy reference is hashed apart (part 1, 19.7.11).
        Self(Digest::of(&[
            first.0.as_bytes(),
            POLICY_REFERENCE.as_bytes(),
        ]))
    }

    /// The digest so far.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.0
    }

    fn update(self, command: u32, arguments: &[&[u8]]) -> Self {
        let mut parts: Vec<&[u8]> = Vec::with_capacity(arguments.len() + 2);
        let command = command.to_be_bytes();
        parts.push(self.0.as_bytes());
        parts.push(&command);
        parts.extend_from_slice(arguments);
        Self(Digest::of(&parts))
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

/// What a policy digest is hashed together with to add "the version index holds at most
/// this release": the command code, the digest of its arguments, the index's name. The
/// build hands it to the signing step, which needs nothing but SHA-256 then.
#[must_use]
pub fn version_suffix(release: Release) -> Vec<u8> {
    nv_suffix(&VERSION, &release.to_bytes(), 0, marshal::UNSIGNED_LE)
}

/// What `PolicyNV` hashes a policy together with (part 3, 23.9).
fn nv_suffix(index: &NvDefinition, operand: &[u8], offset: u16, operation: u16) -> Vec<u8> {
    let arguments = Digest::of(&[operand, &offset.to_be_bytes(), &operation.to_be_bytes()]);
    let mut suffix = marshal::POLICY_NV.to_be_bytes().to_vec();
    suffix.extend_from_slice(arguments.as_bytes());
    suffix.extend_from_slice(index.name(true).as_bytes());
    suffix
}

/// The policy that a release carries signed: PCR 11 holds `pcr_11`, and the version
/// index holds at most `release`.
#[must_use]
pub fn approved_policy(pcr_11: &Digest, release: Release) -> Digest {
    Policy::new()
        .pcr(KERNEL_BUNDLE_PCR, pcr_11)
        .no_newer_than(release)
        .digest()
}

/// The policy of the sealed machine secret: one that the PCR key approved, PCR 7 holds
/// `pcr_7`, and the record says that this is sealing number `sealings`. So an earlier
/// sealed object, which somebody copied from the disk, opens no more once the machine was
/// sealed again.
#[must_use]
pub fn sealing_policy(pcr_key: &Name, pcr_7: &Digest, sealings: u32) -> Digest {
    Policy::authorized_by(pcr_key)
        .pcr(SECURE_BOOT_PCR, pcr_7)
        .sealed_so_often(sealings)
        .digest()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_selection_is_that_of_part_2() {
        assert_eq!(
            hex::encode(SECURE_BOOT_PCR.selection()),
            "00000001000b03800000"
        );
        assert_eq!(
            hex::encode(KERNEL_BUNDLE_PCR.selection()),
            "00000001000b03000800"
        );
        assert_eq!(Pcr::new(24), None);
    }

    #[test]
    fn every_part_counts() {
        let zero = Digest::ZERO;
        let one = Digest::of(&[b"one"]);
        let release = Release::from_number(1000);
        let approved = approved_policy(&zero, release);
        assert_ne!(approved, approved_policy(&one, release));
        assert_ne!(approved, approved_policy(&zero, Release::from_number(1001)));
        let (a, b) = (Name::of_public_area(b"a"), Name::of_public_area(b"b"));
        assert_ne!(sealing_policy(&a, &zero, 1), sealing_policy(&b, &zero, 1));
        assert_ne!(sealing_policy(&a, &zero, 1), sealing_policy(&a, &one, 1));
        assert_ne!(sealing_policy(&a, &zero, 1), sealing_policy(&a, &zero, 2));
    }

    #[test]
    fn the_suffix_adds_the_version() {
        let pcr = Policy::new().pcr(KERNEL_BUNDLE_PCR, &Digest::ZERO).digest();
        let release = Release::from_number(1000);
        let digest = Digest::of(&[pcr.as_bytes(), &version_suffix(release)]);
        assert_eq!(digest, approved_policy(&Digest::ZERO, release));
    }
}
