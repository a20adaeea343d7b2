//! What the TPM must hold after a bundle has started, computed from its file.

use anyhow::Result;
use sha2::{Digest, Sha256};

use crate::boot_file::section;

/// What the initramfs measures before it asks the TPM for the state's key, and after.
pub const ENTER_INITRD: &str = "enter-initrd";
/// See [`ENTER_INITRD`].
pub const LEAVE_INITRD: &str = "leave-initrd";

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

/// PCR 11 once the initramfs has measured a phase word more (systemd-pcrphase(8)).
pub fn with_word(mut register: [u8; 32], word: &str) -> [u8; 32] {
    extend(&mut register, word.as_bytes());
    register
}

/// PCR 11 of a running system: the words before and after the TPM was asked for the key.
pub fn running_pcr11(bundle: &[u8]) -> Result<[u8; 32]> {
    let asked = with_word(pcr11(bundle)?, ENTER_INITRD);
    Ok(with_word(asked, LEAVE_INITRD))
}

/// The policy digest (TPM 2.0 Library, part 3, PolicyPCR) of a session that has looked at
/// PCR 11 only, when it is `register`.
pub fn pcr11_policy(register: &[u8; 32]) -> [u8; 32] {
    const POLICY_PCR: u32 = 0x17f;
    // One selection: SHA-256, three bytes of bits, bit 11.
    const SELECTION: [u8; 10] = [0, 0, 0, 1, 0, 0x0b, 3, 0, 1 << 3, 0];
    let mut hash = Sha256::new();
    hash.update([0; 32]);
    hash.update(POLICY_PCR.to_be_bytes());
    hash.update(SELECTION);
    hash.update(Sha256::digest(register));
    hash.finalize().into()
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
