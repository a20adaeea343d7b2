//! What the TPM must hold after a bundle has started, computed from its file.

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::boot_file::section;

/// The sections that systemd-stub measures, in its order
/// (src/fundamental/uki.c, `unified_sections`); those absent are passed over, and
/// `.pcrsig` cannot measure itself.
const MEASURED: [&str; 12] = [
    ".linux", ".osrel", ".cmdline", ".initrd", ".ucode", ".splash", ".dtb", ".uname", ".sbat",
    ".pcrpkey", ".profile", ".hwids",
];

fn extend(register: &mut [u8; 32], event: &[u8]) {
    let mut hash = Sha256::new();
    hash.update(*register);
    hash.update(Sha256::digest(event));
    *register = hash.finalize().into();
}

/// PCR 11 (SHA-256) once the stub has measured the bundle: for each section its name
/// with the final zero, then its content.
pub fn pcr11(bundle: &[u8]) -> Result<[u8; 32]> {
    let mut register = [0; 32];
    for name in MEASURED {
        if let Ok(range) = section(bundle, name) {
            extend(&mut register, &[name.as_bytes(), &[0]].concat());
            extend(&mut register, &bundle[range]);
        }
    }
    Ok(register)
}
