//! Encryption of key slot areas: `aes-xts-plain64`, sectors of 512 bytes counted from
//! the start of the area.

use aes::{
    Aes128, Aes256,
    cipher::{BlockCipher, BlockDecrypt, BlockEncrypt, BlockSizeUser, KeyInit, consts::U16},
};
use xts_mode::{Xts128, get_tweak_default};

const SECTOR: usize = 512;

/// Encrypts whole sectors in place; the key has 32 or 64 bytes.
pub fn encrypt(area: &mut [u8], key: &[u8]) {
    match key.len() {
        64 => run::<Aes256>(area, key, true),
        _ => run::<Aes128>(area, key, true),
    }
}

/// Decrypts what [`encrypt`] made.
pub fn decrypt(area: &mut [u8], key: &[u8]) {
    match key.len() {
        64 => run::<Aes256>(area, key, false),
        _ => run::<Aes128>(area, key, false),
    }
}

fn run<C>(area: &mut [u8], key: &[u8], encrypt: bool)
where
    C: BlockCipher + BlockEncrypt + BlockDecrypt + BlockSizeUser<BlockSize = U16> + KeyInit,
{
    let (data, tweak) = key.split_at(key.len() / 2);
    // Validation let only 32 and 64 through, which are twice a key's length.
    let (Ok(data), Ok(tweak)) = (C::new_from_slice(data), C::new_from_slice(tweak)) else {
        return area.fill(0);
    };
    let cipher = Xts128::new(data, tweak);
    if encrypt {
        cipher.encrypt_area(area, SECTOR, 0, get_tweak_default);
    } else {
        cipher.decrypt_area(area, SECTOR, 0, get_tweak_default);
    }
}
