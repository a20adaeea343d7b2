//! Kernel keyrings: whose signature a dm-verity root hash needs.
//!
//! The kernel holds no owner key. It is started with its `.dm-verity` keyring open
//! (`dm_verity.keyring_unsealed=1`); the initramfs puts the one image certificate in,
//! which came in the signed kernel bundle, and seals the keyring before anything else
//! runs. The kernel only looks into a sealed keyring, so forgetting the seal boots
//! nothing. This crate never holds a private key.
#![forbid(unsafe_code)]

use std::{
    ffi::{CStr, CString},
    fs, io,
};

use bastide_sys::keys::{self, Serial};

const KEYS: &str = "/proc/keys";
const DM_VERITY: &str = ".dm-verity";

/// Longest certificate that is loaded, in bytes.
const LARGEST_CERTIFICATE: usize = 16 * 1024;

/// Why the keyring could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    /// The kernel's list of keys cannot be read.
    #[error("cannot read {KEYS}")]
    List(#[source] io::Error),
    /// No such keyring: the kernel lacks signed dm-verity.
    #[error("kernel has no {DM_VERITY} keyring")]
    Missing,
    /// More than one keyring of that name, or a line that cannot be read.
    #[error("{KEYS} is ambiguous about {DM_VERITY}")]
    Ambiguous,
    /// The keyring holds keys before we put ours in.
    #[error("{DM_VERITY} keyring is not empty")]
    NotEmpty,
    /// The certificate is empty or implausibly large.
    #[error("certificate has {0} bytes")]
    Size(usize),
    /// The kernel refuses the certificate.
    #[error("kernel refuses the image certificate")]
    Add(#[source] io::Error),
    /// The kernel refuses to seal.
    #[error("cannot seal the {DM_VERITY} keyring")]
    Seal(#[source] io::Error),
    /// A key could still be added after sealing.
    #[error("the {DM_VERITY} keyring is not sealed")]
    NotSealed(#[source] Option<io::Error>),
    /// The root-hash signature could not be handed to the kernel.
    #[error("cannot hand the root-hash signature to the kernel")]
    Signature(#[source] io::Error),
    /// The root-hash signature could not be taken back.
    #[error("cannot revoke the root-hash signature's key")]
    Revoke(#[source] io::Error),
}

/// The `.dm-verity` keyring, open for one certificate.
#[derive(Debug)]
pub struct OpenKeyring(Serial);

/// Proof that the `.dm-verity` keyring holds the image certificate and nothing can be
/// added to it.
#[derive(Debug)]
#[must_use]
pub struct SealedKeyring(());

impl OpenKeyring {
    /// Finds the keyring by its name in `/proc/keys`.
    ///
    /// # Errors
    /// There is not exactly one empty keyring of that name.
    pub fn find() -> Result<Self, KeyringError> {
        let list = fs::read_to_string(KEYS).map_err(KeyringError::List)?;
        Ok(Self(find_empty(&list)?))
    }

    /// Puts the image certificate (X.509, DER) in, seals the keyring and makes sure
    /// that it is sealed.
    ///
    /// # Errors
    /// Any of the three failed; nothing must be booted then.
    pub fn seal_with(self, certificate: &[u8]) -> Result<SealedKeyring, KeyringError> {
        if certificate.is_empty() || certificate.len() > LARGEST_CERTIFICATE {
            return Err(KeyringError::Size(certificate.len()));
        }
        let add = || keys::add_key(c"asymmetric", c"bastide-image", certificate, self.0);
        add().map_err(KeyringError::Add)?;
        keys::reject_all_links(self.0).map_err(KeyringError::Seal)?;
        // Believe the effect, not the return value.
        match add() {
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(SealedKeyring(())),
            Err(error) => Err(KeyringError::NotSealed(Some(error))),
            Ok(_) => Err(KeyringError::NotSealed(None)),
        }
    }
}

/// A root-hash signature that the kernel can look up by name, in the calling thread's
/// own keyring.
#[derive(Debug)]
pub struct SignatureKey {
    description: String,
    serial: Serial,
}

impl SignatureKey {
    /// Hands a signature (PKCS #7, DER) to the kernel. Devices must be activated by
    /// the same thread.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn add(_sealed: &SealedKeyring, signature: &[u8]) -> Result<Self, KeyringError> {
        const DESCRIPTION: &CStr = c"bastide:core";
        let serial = keys::add_key(c"user", DESCRIPTION, signature, Serial::THREAD_KEYRING)
            .map_err(KeyringError::Signature)?;
        Ok(Self {
            description: CString::from(DESCRIPTION).to_string_lossy().into_owned(),
            serial,
        })
    }

    /// What dm-verity's `root_hash_sig_key_desc` must name.
    pub fn description(&self) -> &str {
        &self.description
    }

    /// Makes the key unusable; active devices keep running.
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn revoke(self) -> Result<(), KeyringError> {
        keys::revoke(self.serial).map_err(KeyringError::Revoke)
    }
}

/// Reads lines such as
/// `0a3f1c2d I------     1 perm 082f0000     0     0 keyring   .dm-verity: empty`.
fn find_empty(list: &str) -> Result<Serial, KeyringError> {
    let name = format!("{DM_VERITY}:");
    let mut found = None;
    for line in list.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [
            serial,
            _,
            _,
            _,
            _,
            uid,
            _,
            "keyring",
            description,
            content @ ..,
        ] = &fields[..]
        else {
            continue;
        };
        // Other users may name keyrings as they like; none of them is uid 0.
        if *description != name || *uid != "0" {
            continue;
        }
        let serial = i32::from_str_radix(serial, 16).map_err(|_| KeyringError::Ambiguous)?;
        if found.replace((serial, content.to_vec())).is_some() {
            return Err(KeyringError::Ambiguous);
        }
    }
    match found {
        None => Err(KeyringError::Missing),
        Some((serial, content)) if content == ["empty"] => Ok(Serial(serial)),
        Some(_) => Err(KeyringError::NotEmpty),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OTHERS: &str = "\
07c2a3b1 I------     1 perm 1f0b0000     0     0 keyring   .builtin_trusted_keys: empty
0d8e9f10 I--Q---     2 perm 3f030000     0     0 keyring   _ses: 1
31f0a2bb I------     1 perm 1f030000     0     0 asymmetri Build key: X509.rsa 11223344 []
";
    const EMPTY: &str =
        "0a3f1c2d I------     1 perm 082f0000     0     0 keyring   .dm-verity: empty\n";

    #[test]
    fn the_empty_keyring_is_found() {
        let list = format!("{OTHERS}{EMPTY}");
        assert_eq!(find_empty(&list).unwrap(), Serial(0x0a3f_1c2d));
    }

    #[test]
    fn anything_else_is_refused() {
        assert!(matches!(find_empty(OTHERS), Err(KeyringError::Missing)));
        assert!(matches!(
            find_empty(&EMPTY.replace("empty", "1")),
            Err(KeyringError::NotEmpty)
        ));
        assert!(matches!(
            find_empty(&format!("{EMPTY}{EMPTY}")),
            Err(KeyringError::Ambiguous)
        ));
        assert!(matches!(
            find_empty(&EMPTY.replace("0a3f1c2d", "zz")),
            Err(KeyringError::Ambiguous)
        ));
        // A key of another type or of another user is not it.
        for (from, to) in [
            ("keyring ", "user "),
            ("     0     0 ", "  1000     0 "),
            (".dm-verity:", ".dm-verityx:"),
        ] {
            assert!(matches!(
                find_empty(&EMPTY.replace(from, to)),
                Err(KeyringError::Missing)
            ));
        }
    }
}
