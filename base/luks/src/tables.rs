//! The targets' parameters, as libcryptsetup would load them
//! (`get_dm_integrity_params()`, `get_dm_crypt_params()`).

use bastide_disk::DeviceNumber;
use bastide_luks_format::{Cipher, SECTOR_SIZE};

const SECTOR: u64 = 512;

/// Whether dm-integrity writes through its journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// Data and tag change together, whatever happens to the power.
    On,
    /// Twice as fast; a power cut leaves sectors that cannot be read. For the first
    /// wipe only.
    Off,
}

/// Parameters of the integrity target; the data begins at a byte offset.
pub fn integrity(
    device: DeviceNumber,
    data_offset: u64,
    cipher: Cipher,
    journal: Journal,
) -> String {
    let mode = match journal {
        Journal::On => 'J',
        Journal::Off => 'D',
    };
    format!(
        "{device} {} {} {mode} 3 block_size:{SECTOR_SIZE} fix_padding fix_hmac",
        data_offset / SECTOR,
        cipher.tag_size(),
    )
}

/// Parameters of the crypt target over an integrity device; the key has that
/// description in the kernel.
pub fn crypt(device: DeviceNumber, cipher: Cipher, key_description: &str) -> String {
    format!(
        "{} :{}:logon:{key_description} 0 {device} 0 2 sector_size:{SECTOR_SIZE} \
         integrity:{}:aead",
        cipher.kernel_name(),
        cipher.key_size(),
        cipher.tag_size(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: DeviceNumber = DeviceNumber {
        major: 254,
        minor: 4,
    };

    #[test]
    fn tables_are_what_libcryptsetup_would_write() {
        assert_eq!(
            integrity(PARTITION, 16 << 20, Cipher::AesXtsHmacSha256, Journal::On),
            "254:4 32768 48 J 3 block_size:4096 fix_padding fix_hmac"
        );
        assert_eq!(
            integrity(PARTITION, 16 << 20, Cipher::AesGcm, Journal::Off),
            "254:4 32768 28 D 3 block_size:4096 fix_padding fix_hmac"
        );
        let crypt = |cipher| crypt(PARTITION, cipher, "cryptsetup:uuid-d0");
        assert_eq!(
            crypt(Cipher::AesXtsHmacSha256),
            "capi:authenc(hmac(sha256),xts(aes))-random :96:logon:cryptsetup:uuid-d0 0 254:4 0 \
             2 sector_size:4096 integrity:48:aead"
        );
        assert_eq!(
            crypt(Cipher::AesGcm),
            "capi:gcm(aes)-random :32:logon:cryptsetup:uuid-d0 0 254:4 0 \
             2 sector_size:4096 integrity:28:aead"
        );
        assert_eq!(
            crypt(Cipher::Aegis128),
            "capi:aegis128-random :16:logon:cryptsetup:uuid-d0 0 254:4 0 \
             2 sector_size:4096 integrity:32:aead"
        );
        assert_eq!(
            crypt(Cipher::ChaCha20Poly1305),
            "capi:rfc7539(chacha20,poly1305)-random :32:logon:cryptsetup:uuid-d0 0 254:4 0 \
             2 sector_size:4096 integrity:28:aead"
        );
    }
}
