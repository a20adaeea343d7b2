//! The volume key in the kernel, for as long as a table is loaded.

use std::{ffi::CString, io};

use bastide_luks_format::VolumeKey;
use bastide_sys::keys::{self, Serial};
use uuid::Uuid;

use crate::LuksError;

/// A key in the calling thread's own keyring, of the kind that no process can read.
#[derive(Debug)]
pub struct KernelKey {
    description: String,
    serial: Serial,
}

impl KernelKey {
    /// Hands a key over, under the description that cryptsetup gives it.
    pub fn add(uuid: Uuid, key: &VolumeKey) -> Result<Self, LuksError> {
        let description = format!("cryptsetup:{}-d0", uuid.hyphenated());
        let text = CString::new(description.as_str())
            .map_err(|error| LuksError::Key(io::Error::from(error)))?;
        let serial = keys::add_key(c"logon", &text, key.expose(), Serial::THREAD_KEYRING)
            .map_err(LuksError::Key)?;
        Ok(Self {
            description,
            serial,
        })
    }

    pub fn description(&self) -> &str {
        &self.description
    }

    /// Makes the key unusable and wipes it; dm-crypt has its own copy.
    pub fn revoke(self) -> Result<(), LuksError> {
        keys::revoke(self.serial).map_err(LuksError::Key)
    }
}
