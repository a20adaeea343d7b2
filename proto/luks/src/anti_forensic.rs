//! The anti-forensic splitter of LUKS ("TKS1", section 2.4 of the LUKS 1 on-disk
//! format): a key is spread over 4000 stripes, of which every one is needed, so that a
//! disk that keeps one old sector keeps no key.

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::{HeaderError, Random};

/// Stripes; everyone writes 4000.
pub const STRIPES: usize = 4000;

const DIGEST_SIZE: usize = 32;

/// Spreads a key over [`STRIPES`] times its size.
pub fn split(key: &[u8], random: Random<'_>) -> Result<Zeroizing<Vec<u8>>, HeaderError> {
    let mut material = Zeroizing::new(vec![0; key.len() * STRIPES]);
    let (stripes, last) = material.split_at_mut(key.len() * (STRIPES - 1));
    random(stripes).map_err(HeaderError::Random)?;
    let mut state = collect(stripes, key.len());
    exclusive_or(&mut state, key);
    last.copy_from_slice(&state);
    Ok(material)
}

/// Puts a key of that size together again; material of another length gives nothing
/// of use, as a wrong passphrase does.
pub fn merge(material: &[u8], key_size: usize) -> Zeroizing<Vec<u8>> {
    let end = material.len().min(key_size * STRIPES);
    let (stripes, last) = material[..end].split_at(end.saturating_sub(key_size));
    let mut state = collect(stripes, key_size);
    exclusive_or(&mut state, last);
    state
}

fn collect(stripes: &[u8], size: usize) -> Zeroizing<Vec<u8>> {
    let mut state = Zeroizing::new(vec![0; size]);
    for stripe in stripes.chunks(size) {
        exclusive_or(&mut state, stripe);
        diffuse(&mut state);
    }
    state
}

fn diffuse(block: &mut [u8]) {
    for (index, part) in (0_u32..).zip(block.chunks_mut(DIGEST_SIZE)) {
        let digest = Zeroizing::new(<[u8; DIGEST_SIZE]>::from(
            Sha256::new()
                .chain_update(index.to_be_bytes())
                .chain_update(&part)
                .finalize(),
        ));
        part.copy_from_slice(&digest[..part.len()]);
    }
}

fn exclusive_or(state: &mut [u8], other: &[u8]) {
    for (byte, with) in state.iter_mut().zip(other) {
        *byte ^= with;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_split_merges() {
        for size in [16, 32, 64, 96, 100] {
            let key: Vec<u8> = (0..size).map(|byte| byte as u8).collect();
            let mut state = 1_u8;
            let material = split(&key, &mut |bytes| {
                for byte in bytes {
                    state = state.wrapping_mul(5).wrapping_add(3);
                    *byte = state;
                }
                Ok(())
            })
            .unwrap();
            assert_eq!(material.len(), size * STRIPES);
            assert_eq!(**merge(&material, size), key);
            let mut damaged = material.to_vec();
            damaged[size * 17] ^= 1;
            assert_ne!(**merge(&damaged, size), key);
        }
    }

    #[test]
    fn short_material_is_no_panic() {
        assert_eq!(merge(&[], 32).len(), 32);
        assert_eq!(merge(&[1; 31], 32).len(), 32);
    }
}
