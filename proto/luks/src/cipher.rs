//! The authenticated ciphers that a volume may have.
//!
//! A closed list: a header that names anything else, `cipher_null` among it, is not
//! activated. Sizes are those of cryptsetup's `INTEGRITY_tag_size()` and
//! `INTEGRITY_key_size()`, kernel names those of its `cipher_c2dm()`.

/// An authenticated cipher. All draw a new initialisation vector for every write and
/// keep it with the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cipher {
    /// AES-256-XTS, HMAC-SHA-256 over sector number, vector and ciphertext.
    AesXtsHmacSha256,
    /// AES-256-GCM; its 96-bit vector limits a key to 2^32 writes of a sector.
    AesGcm,
    /// AEGIS-128: its key has 128 bits.
    Aegis128,
    /// ChaCha20-Poly1305 (RFC 8439); the limit of [`Cipher::AesGcm`] applies.
    ChaCha20Poly1305,
}

impl Cipher {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::AesXtsHmacSha256,
        Self::AesGcm,
        Self::Aegis128,
        Self::ChaCha20Poly1305,
    ];

    /// The segment's `encryption`.
    pub const fn encryption(self) -> &'static str {
        match self {
            Self::AesXtsHmacSha256 => "aes-xts-random",
            Self::AesGcm => "aes-gcm-random",
            Self::Aegis128 => "aegis128-random",
            Self::ChaCha20Poly1305 => "chacha20-random",
        }
    }

    /// The segment's integrity `type`.
    pub const fn integrity(self) -> &'static str {
        match self {
            Self::AesXtsHmacSha256 => "hmac(sha256)",
            Self::AesGcm | Self::Aegis128 => "aead",
            Self::ChaCha20Poly1305 => "poly1305",
        }
    }

    /// What dm-crypt calls it.
    pub const fn kernel_name(self) -> &'static str {
        match self {
            Self::AesXtsHmacSha256 => "capi:authenc(hmac(sha256),xts(aes))-random",
            Self::AesGcm => "capi:gcm(aes)-random",
            Self::Aegis128 => "capi:aegis128-random",
            Self::ChaCha20Poly1305 => "capi:rfc7539(chacha20,poly1305)-random",
        }
    }

    /// Bytes of the volume key: encryption, then authentication.
    pub const fn key_size(self) -> usize {
        match self {
            Self::AesXtsHmacSha256 => 64 + 32,
            Self::AesGcm | Self::ChaCha20Poly1305 => 32,
            Self::Aegis128 => 16,
        }
    }

    /// Bytes that dm-integrity keeps for each sector: vector and tag.
    pub const fn tag_size(self) -> u32 {
        match self {
            Self::AesXtsHmacSha256 => 16 + 32,
            Self::AesGcm | Self::ChaCha20Poly1305 => 12 + 16,
            Self::Aegis128 => 16 + 16,
        }
    }

    /// The cipher of a segment's two words.
    pub fn from_names(encryption: &str, integrity: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|cipher| (cipher.encryption(), cipher.integrity()) == (encryption, integrity))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back() {
        for cipher in Cipher::ALL {
            let found = Cipher::from_names(cipher.encryption(), cipher.integrity());
            assert_eq!(found, Some(cipher));
        }
        for (encryption, integrity) in [
            ("cipher_null-ecb", "none"),
            ("cipher_null-ecb", "aead"),
            ("aes-xts-plain64", "none"),
            ("aes-xts-random", "none"),
            ("aes-gcm-random", "hmac(sha256)"),
        ] {
            assert_eq!(Cipher::from_names(encryption, integrity), None);
        }
    }
}
