//! What is derived from the machine secret and the volume key beside what
//! `bastide_tpm_policy` derives.

use aes_gcm::{
    Aes256Gcm, KeyInit, Nonce,
    aead::{Aead, Payload},
};
use anyhow::{Context, Result, anyhow, ensure};
use bastide_tpm_policy::{Digest, MachineSecret, Secret};
use hkdf::Hkdf;
use rustix::rand::{GetRandomFlags, getrandom};
use sha2::Sha256;
use zeroize::Zeroizing;

const NONCE_SIZE: usize = 12;
const WRAPPED: &str = "bastide machine secret";

/// A new machine secret.
///
/// # Errors
/// The kernel has no random bytes.
pub fn new_secret() -> Result<MachineSecret> {
    Ok(MachineSecret::new(Secret::new(*random()?)))
}

/// Encrypts the machine secret for whoever has the volume key (AES-256-GCM).
///
/// # Errors
/// The kernel has no random bytes.
pub fn wrap(secret: &MachineSecret, volume_key: &[u8]) -> Result<Vec<u8>> {
    let nonce: Zeroizing<[u8; NONCE_SIZE]> = random()?;
    let sealed = wrapping(volume_key)
        .encrypt(
            Nonce::from_slice(&nonce[..]),
            Payload {
                msg: &secret.expose()[..],
                aad: WRAPPED.as_bytes(),
            },
        )
        .map_err(|_| anyhow!("cannot encrypt the machine secret"))?;
    Ok([&nonce[..], &sealed].concat())
}

/// Undoes [`wrap`].
///
/// # Errors
/// It was made with another volume key, or changed since.
pub fn unwrap(wrapped: &[u8], volume_key: &[u8]) -> Result<MachineSecret> {
    let (nonce, sealed) = wrapped
        .split_at_checked(NONCE_SIZE)
        .context("the wrapped machine secret is too short")?;
    let opened = wrapping(volume_key)
        .decrypt(
            Nonce::from_slice(nonce),
            Payload {
                msg: sealed,
                aad: WRAPPED.as_bytes(),
            },
        )
        .map_err(|_| anyhow!("the wrapped machine secret is not this volume's"))?;
    let opened = Zeroizing::new(opened);
    ensure!(
        opened.len() == 32,
        "the wrapped machine secret has another size"
    );
    let mut bytes = Zeroizing::new([0; 32]);
    bytes.copy_from_slice(&opened);
    Ok(MachineSecret::new(Secret::new(*bytes)))
}

fn wrapping(volume_key: &[u8]) -> Aes256Gcm {
    let key = derive(volume_key, WRAPPED);
    Aes256Gcm::new(key.expose().into())
}

/// What the TPM records of a volume: only who has its key can compute it, and it tells
/// nothing about the key.
pub fn identity(volume_key: &[u8]) -> Digest {
    Digest::from_bytes(*derive(volume_key, "bastide volume identity").expose())
}

/// HKDF-SHA256 (RFC 5869) without salt.
fn derive(secret: &[u8], info: &str) -> Secret {
    let mut key = Zeroizing::new([0; 32]);
    Hkdf::<Sha256>::new(None, secret)
        .expand(info.as_bytes(), &mut key[..])
        .unwrap_or_else(|_| unreachable!("HKDF gives up to 255 hashes"));
    Secret::new(*key)
}

/// Random bytes of the kernel, once it has gathered enough.
///
/// # Errors
/// The kernel has none.
pub fn random<const N: usize>() -> Result<Zeroizing<[u8; N]>> {
    let mut bytes = Zeroizing::new([0; N]);
    let mut filled = 0;
    while filled < N {
        filled += getrandom(&mut bytes[filled..], GetRandomFlags::empty())
            .context("the kernel has no random bytes")?;
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_volume_key_unwraps() {
        let secret = new_secret().unwrap();
        let mut wrapped = wrap(&secret, &[1; 96]).unwrap();
        let opened = unwrap(&wrapped, &[1; 96]).unwrap();
        assert_eq!(opened.expose(), secret.expose());
        assert!(unwrap(&wrapped, &[2; 96]).is_err());
        for position in 0..wrapped.len() {
            wrapped[position] ^= 1;
            assert!(unwrap(&wrapped, &[1; 96]).is_err());
            wrapped[position] ^= 1;
        }
        assert!(unwrap(&wrapped[..5], &[1; 96]).is_err());
    }

    #[test]
    fn volumes_are_told_apart_by_their_keys() {
        assert_eq!(identity(&[1; 96]), identity(&[1; 96]));
        assert_ne!(identity(&[1; 96]), identity(&[2; 96]));
    }
}
