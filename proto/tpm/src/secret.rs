//! Secrets, and what is derived from the machine secret.

use std::fmt;

use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// 32 secret bytes. Wiped when dropped; printing shows nothing.
#[derive(Clone)]
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// Takes the bytes over; the caller wipes its own copy.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for whoever must use them.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

/// What a key derived from the machine secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Label {
    /// Passphrase of the state volume's first keyslot.
    Volume,
    /// Authorisation of the TPM's owner hierarchy.
    Owner,
    /// Authorisation of the TPM's lockout hierarchy.
    Lockout,
    /// Ed25519 seed of the log's root key.
    LogRoot,
    /// Authorisation of the NV counter that anchors the log.
    LogAnchor,
}

impl Label {
    /// The `info` of HKDF. Changing one locks every machine out of what it derives.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Volume => "bastide volume",
            Self::Owner => "bastide owner",
            Self::Lockout => "bastide lockout",
            Self::LogRoot => "bastide log root",
            Self::LogAnchor => "bastide log anchor",
        }
    }
}

/// The machine secret S: 32 random bytes, sealed to the TPM, in clear only in the
/// initramfs.
#[derive(Clone, Debug)]
pub struct MachineSecret(Secret);

impl MachineSecret {
    /// A machine secret of these bytes, which must be random.
    #[must_use]
    pub const fn new(secret: Secret) -> Self {
        Self(secret)
    }

    /// The bytes, for sealing.
    #[must_use]
    pub fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }

    /// HKDF-SHA256 (RFC 5869) of the machine secret without salt, with the label as
    /// `info`.
    #[must_use]
    pub fn derive(&self, label: Label) -> Secret {
        let mut key = Secret::new([0; 32]);
        Hkdf::<Sha256>::new(None, self.expose())
            .expand(label.as_str().as_bytes(), key.0.as_mut_slice())
            .expect("32 bytes are one block, and HKDF makes up to 255");
        key
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Label; 5] = [
        Label::Volume,
        Label::Owner,
        Label::Lockout,
        Label::LogRoot,
        Label::LogAnchor,
    ];

    /// Against RFC 5869 by way of another implementation: computed with
    /// `openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:0001..1f
    /// -kdfopt info:"bastide volume" HKDF`.
    #[test]
    fn derived_keys_are_those_that_openssl_computes() {
        let secret: [u8; 32] = std::array::from_fn(|place| u8::try_from(place).unwrap());
        let derived = MachineSecret::new(Secret::new(secret)).derive(Label::Volume);
        assert_eq!(
            hex::encode(derived.expose()),
            "6dfeac221514d41dd2c89f85ec3331f93661361dbe08b06849bb08bbf4f3fca5"
        );
    }

    #[test]
    fn keys_are_apart() {
        let secret = MachineSecret::new(Secret::new([7; 32]));
        let keys: std::collections::BTreeSet<_> = ALL
            .iter()
            .map(|label| *secret.derive(*label).expose())
            .collect();
        assert_eq!(keys.len(), ALL.len());
    }

    #[test]
    fn printing_shows_nothing() {
        let secret = MachineSecret::new(Secret::new([0x5a; 32]));
        let text = format!("{secret:?}");
        assert!(
            !text.contains("90") && !text.to_lowercase().contains("5a"),
            "{text}"
        );
    }
}
