//! What sessions are made of (part 1, 11.4 and appendix C.6).

use aes::Aes128;
use cfb_mode::cipher::{AsyncStreamCipher, KeyIvInit};
use hmac::{Hmac, Mac};
use p256::elliptic_curve::sec1::ToEncodedPoint;
use p256::{PublicKey, SecretKey};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{TpmError, random};

pub(crate) type Nonce = [u8; 32];

/// HMAC-SHA-256 over the parts.
pub(crate) fn hmac(key: &[u8], parts: &[&[u8]]) -> Hmac<Sha256> {
    let mut hmac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        hmac.update(part);
    }
    hmac
}

/// `KDFa` with SHA-256 for 256 bits (part 1, 11.4.10.2), which is one block.
pub(crate) fn kdf_a(key: &[u8], label: &str, first: &[u8], second: &[u8]) -> Zeroizing<[u8; 32]> {
    let block = hmac(
        key,
        &[
            &1u32.to_be_bytes(),
            label.as_bytes(),
            &[0],
            first,
            second,
            &256u32.to_be_bytes(),
        ],
    );
    Zeroizing::new(block.finalize().into_bytes().into())
}

/// `KDFe` with SHA-256 for 256 bits (part 1, 11.4.10.3), which is one block.
fn kdf_e(shared: &[u8], label: &str, ours: &[u8], theirs: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    for part in [
        &1u32.to_be_bytes(),
        shared,
        label.as_bytes(),
        &[0],
        ours,
        theirs,
    ] {
        hash.update(part);
    }
    Zeroizing::new(hash.finalize().into())
}

/// Which way a parameter goes.
#[derive(Clone, Copy)]
pub(crate) enum Direction {
    ToTpm,
    FromTpm,
}

/// Parameter encryption with AES-128-CFB (part 1, 21.3), in place.
pub(crate) fn crypt(
    direction: Direction,
    session_value: &[u8],
    newer: &Nonce,
    older: &Nonce,
    parameter: &mut [u8],
) {
    let material = kdf_a(session_value, "CFB", newer, older);
    let (key, vector) = material.split_at(16);
    match direction {
        Direction::ToTpm => {
            cfb_mode::Encryptor::<Aes128>::new(key.into(), vector.into()).encrypt(parameter)
        }
        Direction::FromTpm => {
            cfb_mode::Decryptor::<Aes128>::new(key.into(), vector.into()).decrypt(parameter)
        }
    }
}

/// A salt that only the holder of a P-256 key learns, and the point that tells it.
pub(crate) struct Salt {
    pub(crate) salt: Zeroizing<[u8; 32]>,
    pub(crate) x: [u8; 32],
    pub(crate) y: [u8; 32],
}

impl Salt {
    /// Makes one for `theirs` (part 1, C.6.1).
    pub(crate) fn new(theirs: &PublicKey) -> Result<Self, TpmError> {
        let ephemeral = secret_key()?;
        let shared = p256::ecdh::diffie_hellman(ephemeral.to_nonzero_scalar(), theirs.as_affine());
        let (x, y) = coordinates(&ephemeral.public_key());
        let (their_x, _) = coordinates(theirs);
        Ok(Self {
            salt: kdf_e(shared.raw_secret_bytes(), "SECRET", &x, &their_x),
            x,
            y,
        })
    }
}

fn secret_key() -> Result<SecretKey, TpmError> {
    let mut bytes = Zeroizing::new([0u8; 32]);
    loop {
        random::fill(bytes.as_mut_slice())?;
        // Zero or too large: 1 in 2^32.
        if let Ok(key) = SecretKey::from_slice(bytes.as_slice()) {
            return Ok(key);
        }
    }
}

fn coordinates(key: &PublicKey) -> ([u8; 32], [u8; 32]) {
    let point = key.to_encoded_point(false);
    let mut both = ([0; 32], [0; 32]);
    if let (Some(x), Some(y)) = (point.x(), point.y()) {
        both.0.copy_from_slice(x);
        both.1.copy_from_slice(y);
    }
    both
}

/// The public key at a point; `None` when it is not on the curve.
pub(crate) fn public_key(x: &[u8], y: &[u8]) -> Option<PublicKey> {
    let mut point = [0; 65];
    point[0] = 4;
    // Some TPMs leave zeroes at the front out.
    point
        .get_mut(33usize.checked_sub(x.len())?..33)?
        .copy_from_slice(x);
    point
        .get_mut(65usize.checked_sub(y.len()).filter(|start| *start >= 33)?..)?
        .copy_from_slice(y);
    PublicKey::from_sec1_bytes(&point).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encrypted_is_decrypted() {
        let (newer, older) = ([1; 32], [2; 32]);
        let mut text = *b"forty bytes of text, more than two block";
        crypt(Direction::ToTpm, b"key", &newer, &older, &mut text);
        assert_ne!(&text, b"forty bytes of text, more than two block");
        crypt(Direction::FromTpm, b"key", &newer, &older, &mut text);
        assert_eq!(&text, b"forty bytes of text, more than two block");
    }

    #[test]
    fn points_off_the_curve_are_refused() {
        let key = secret_key().unwrap().public_key();
        let (x, y) = coordinates(&key);
        assert_eq!(public_key(&x, &y), Some(key));
        assert_eq!(public_key(&x, &x), None);
        assert_eq!(public_key(&[0; 34], &y), None);
        assert_eq!(public_key(&x, &[0; 33]), None);
    }
}
