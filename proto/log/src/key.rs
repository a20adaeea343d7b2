//! Ed25519 keys, and how those of a machine come from its secret.

use std::fmt;

use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use hkdf::Hkdf;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Sha256;
use zeroize::{Zeroize as _, Zeroizing};

use crate::digest::lower_hex;
use crate::epoch::Epoch;

/// The seed of a signing key (RFC 8032's private key). Erased when dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed(Zeroizing<[u8; 32]>);

/// A public key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// A signature.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature([u8; 64]);

/// Why a key or signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// It is not written as one.
    #[error("a key is 64 lower-case hexadecimal digits")]
    Malformed,
    /// The signature is of another key or over something else.
    #[error("the signature is not of this key over this text")]
    Signature,
}

impl Seed {
    /// Takes 32 bytes, which must be as good as random.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The public key that belongs to it.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(SigningKey::from_bytes(&self.0).verifying_key().to_bytes())
    }

    /// Signs the parts, one after the other.
    #[must_use]
    pub fn sign(&self, parts: &[&[u8]]) -> Signature {
        Signature(
            SigningKey::from_bytes(&self.0)
                .sign(&parts.concat())
                .to_bytes(),
        )
    }

    /// 64 hexadecimal digits, which are as secret.
    #[must_use]
    pub fn to_hex(&self) -> Zeroizing<String> {
        Zeroizing::new(hex::encode(*self.0))
    }

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut bytes = lower_hex(text.as_bytes()).ok_or(KeyError::Malformed)?;
        let seed = Self::new(bytes);
        bytes.zeroize();
        Ok(seed)
    }
}

impl fmt::Debug for Seed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seed")
    }
}

impl PublicKey {
    /// Takes the 32 bytes of RFC 8032.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Reads 64 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        lower_hex(text.as_bytes())
            .map(Self)
            .ok_or(KeyError::Malformed)
    }

    /// Checks a signature over the parts, one after the other (strictly: neither weak
    /// keys nor a second form of one signature).
    ///
    /// # Errors
    /// When it is not this key's over these.
    pub fn verify(&self, parts: &[&[u8]], signature: &Signature) -> Result<(), KeyError> {
        let key = VerifyingKey::from_bytes(&self.0).map_err(|_| KeyError::Signature)?;
        let signature = ed25519_dalek::Signature::from_bytes(&signature.0);
        key.verify_strict(&parts.concat(), &signature)
            .map_err(|_| KeyError::Signature)
    }
}

impl Signature {
    /// Takes the 64 bytes of RFC 8032.
    #[must_use]
    pub fn new(bytes: [u8; 64]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 64] {
        &self.0
    }

    /// Reads 128 lower-case hexadecimal digits.
    ///
    /// # Errors
    /// When the text is anything else.
    pub fn from_hex(text: &[u8]) -> Result<Self, KeyError> {
        lower_hex(text).map(Self).ok_or(KeyError::Malformed)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

impl Serialize for PublicKey {
    fn serialize<Output: Serializer>(&self, output: Output) -> Result<Output::Ok, Output::Error> {
        output.collect_str(self)
    }
}

impl<'input> Deserialize<'input> for PublicKey {
    fn deserialize<Input: Deserializer<'input>>(input: Input) -> Result<Self, Input::Error> {
        let text = String::deserialize(input)?;
        Self::from_hex(&text).map_err(serde::de::Error::custom)
    }
}

/// What the machine's secret gives the log. Only the initramfs, which has the secret,
/// calls this: HKDF-SHA256 (RFC 5869) without salt, the purpose as info.
#[derive(Debug)]
pub struct MachineKeys {
    root: Seed,
    anchor_auth: Zeroizing<[u8; 32]>,
    secret: Zeroizing<[u8; 32]>,
}

impl MachineKeys {
    /// Derives them from the machine secret.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self {
            root: Seed::new(*derive(secret, b"bastide log root", b"")),
            anchor_auth: derive(secret, b"bastide log anchor", b""),
            secret: Zeroizing::new(*secret),
        }
    }

    /// The key that certifies boots. Its public half is what verifying takes.
    #[must_use]
    pub fn root(&self) -> &Seed {
        &self.root
    }

    /// The authorisation value of the TPM's counter.
    #[must_use]
    pub fn anchor_auth(&self) -> &[u8; 32] {
        &self.anchor_auth
    }

    /// The first key of a boot's ledger. Numbers come again in another epoch, and keys
    /// must not.
    #[must_use]
    pub fn boot(&self, epoch: Epoch, boot: u64) -> Seed {
        let [which, number] = [&epoch.as_bytes()[..], &boot.to_be_bytes()];
        Seed::new(*derive(
            &self.secret,
            b"bastide log boot",
            &[which, number].concat(),
        ))
    }
}

fn derive(secret: &[u8; 32], purpose: &[u8], rest: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut output = Zeroizing::new([0; 32]);
    let hkdf = Hkdf::<Sha256>::new(None, secret);
    // HKDF-SHA256 gives up to 255 * 32 bytes; 32 are never too many.
    match hkdf.expand_multi_info(&[purpose, rest], output.as_mut()) {
        Ok(()) => output,
        Err(_) => unreachable!("32 bytes are within what HKDF-SHA256 gives"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signatures_are_those_of_the_standard() {
        // RFC 8032, section 7.1, test 2.
        let seed =
            Seed::from_hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb")
                .unwrap();
        assert_eq!(
            seed.public().to_string(),
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"
        );
        let signature = seed.sign(&[b"\x72"]);
        assert!(format!("{signature:?}").starts_with("92a009a9f0d4cab8720e820b5f642540"));
        seed.public().verify(&[b"\x72"], &signature).unwrap();
        assert!(seed.public().verify(&[b"\x73"], &signature).is_err());
    }

    #[test]
    fn keys_are_apart_and_told_to_nobody() {
        let keys = MachineKeys::new(&[7; 32]);
        let [one, other] = [Epoch::new([1; 16]), Epoch::new([2; 16])];
        assert_ne!(keys.boot(one, 1), keys.boot(one, 2));
        assert_ne!(keys.boot(one, 1), keys.boot(other, 1));
        assert_ne!(&keys.boot(one, 1), keys.root());
        assert_ne!(keys.anchor_auth(), &[7; 32]);
        assert_eq!(format!("{:?}", keys.root()), "Seed");
        assert!(Seed::from_hex("zz").is_err());
        let text = keys.root().to_hex();
        assert_eq!(&Seed::from_hex(&text).unwrap(), keys.root());
        assert!(
            Seed::from_hex(&text.to_uppercase()).is_err() || !text.contains(char::is_alphabetic)
        );
    }
}
