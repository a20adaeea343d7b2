//! The constants of TPM 2.0 Library part 2 that digests are made with.

/// `TPM_ALG_RSA`.
pub(crate) const RSA: u16 = 0x0001;
/// `TPM_ALG_SHA256`.
pub(crate) const SHA256: u16 = 0x000b;
/// `TPM_ALG_NULL`.
pub(crate) const NULL: u16 = 0x0010;
/// `TPM_ALG_ECC`.
pub(crate) const ECC: u16 = 0x0023;
/// `TPM_ECC_NIST_P256`.
pub(crate) const NIST_P256: u16 = 0x0003;

/// `TPM_CC_PolicyNV`.
pub(crate) const POLICY_NV: u32 = 0x0000_0149;
/// `TPM_CC_PolicyAuthorize`.
pub(crate) const POLICY_AUTHORIZE: u32 = 0x0000_016a;
/// `TPM_CC_PolicyCommandCode`.
pub(crate) const POLICY_COMMAND_CODE: u32 = 0x0000_016c;
/// `TPM_CC_PolicyPCR`.
pub(crate) const POLICY_PCR: u32 = 0x0000_017f;
/// `TPM_CC_NV_Read`.
pub(crate) const NV_READ: u32 = 0x0000_014e;

/// `TPM_EO_UNSIGNED_LE`: the index holds at most the operand.
pub(crate) const UNSIGNED_LE: u16 = 0x0009;

/// `TPM_EO_EQ`: the index holds the operand.
pub(crate) const EQUAL: u16 = 0x0000;

/// Appends a `TPM2B` structure.
pub(crate) fn sized(into: &mut Vec<u8>, bytes: &[u8]) {
    // Callers pass digests and key material of at most 512 bytes.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(&length.to_be_bytes());
    into.extend_from_slice(bytes);
}
