//! Swap under a key that nobody keeps: made at every boot, forgotten with it.
//!
//! Plain dm-crypt, AES-256-XTS: what was swapped out is confidential, but a changed
//! sector is garbage rather than an error, as nothing of it outlives the boot that
//! wrote it. The whole partition is taken, whatever it held. This crate never lets the
//! key out of the kernel's and its own memory.
#![forbid(unsafe_code)]

mod header;

use std::{
    ffi::CString,
    fs::OpenOptions,
    io::{self, Seek, SeekFrom},
    os::unix::{ffi::OsStringExt, fs::FileExt},
};

use bastide_device_mapper::{Access, Active, MapperError, Target, activate};
use bastide_disk::DeviceNumber;
use bastide_sys::{
    keys::{self, Serial},
    swap,
};
use rustix::rand::{GetRandomFlags, getrandom};
use zeroize::Zeroizing;

const KEY_SIZE: usize = 64;
const KEY_DESCRIPTION: &str = "bastide:swap";

/// Bytes of a sector of the mapping.
const SECTOR_SIZE: u64 = 4096;

/// Why there is no swap.
#[derive(Debug, thiserror::Error)]
pub enum SwapError {
    /// The partition has no room for a header and a page.
    #[error("swap partition has {0} bytes")]
    Small(u64),
    /// No random bytes.
    #[error("no random bytes")]
    Random(#[source] io::Error),
    /// The key could not be handed to the kernel or taken back.
    #[error("cannot hand the swap key to the kernel")]
    Key(#[source] io::Error),
    /// The device mapper refuses; tells the table.
    #[error(transparent)]
    Mapper(#[from] MapperError),
    /// The header cannot be written.
    #[error("cannot write the swap header")]
    Header(#[source] io::Error),
    /// The kernel refuses to swap, or to stop.
    #[error("kernel refuses to start or stop swapping")]
    Swap(#[source] io::Error),
}

/// Swap in use.
#[derive(Debug)]
pub struct Swap {
    device: Active,
    path: CString,
}

/// Starts to swap to a partition of so many bytes, as device `name`.
///
/// # Errors
/// Any of the steps fails; no device is left then.
pub fn start(name: &str, partition: DeviceNumber, size: u64) -> Result<Swap, SwapError> {
    let size = size - size % SECTOR_SIZE;
    if size < 10 * SECTOR_SIZE {
        return Err(SwapError::Small(size));
    }
    let device = encrypted(name, partition, size)?;
    match begin(&device, size) {
        Ok(path) => Ok(Swap { device, path }),
        Err(error) => {
            device.remove()?;
            Err(error)
        }
    }
}

impl Swap {
    /// Stops to swap and forgets the key.
    ///
    /// # Errors
    /// Memory does not hold what is swapped out, or the kernel refuses otherwise.
    pub fn stop(self) -> Result<(), SwapError> {
        swap::stop(&self.path).map_err(SwapError::Swap)?;
        Ok(self.device.remove()?)
    }
}

fn encrypted(name: &str, partition: DeviceNumber, size: u64) -> Result<Active, SwapError> {
    let mut key = Zeroizing::new([0; KEY_SIZE]);
    random(&mut *key)?;
    let description =
        CString::new(KEY_DESCRIPTION).map_err(|error| SwapError::Key(io::Error::from(error)))?;
    let serial = keys::add_key(c"logon", &description, &*key, Serial::THREAD_KEYRING)
        .map_err(SwapError::Key)?;
    let parameters = table(partition);
    let target = Target {
        kind: "crypt",
        sectors: size / 512,
        parameters: &parameters,
        access: Access::ReadWrite,
    };
    let result = activate(name, &format!("CRYPT-PLAIN-{name}"), &target);
    let revoked = keys::revoke(serial).map_err(SwapError::Key);
    let device = result?;
    match revoked {
        Ok(()) => Ok(device),
        Err(error) => {
            device.remove()?;
            Err(error)
        }
    }
}

/// Parameters of the crypt target, as libcryptsetup would load them for
/// `--type plain --sector-size 4096`.
fn table(partition: DeviceNumber) -> String {
    format!(
        "aes-xts-plain64 :{KEY_SIZE}:logon:{KEY_DESCRIPTION} 0 {partition} 0 1 \
         sector_size:{SECTOR_SIZE}"
    )
}

fn begin(device: &Active, size: u64) -> Result<CString, SwapError> {
    let mut id = [0; 16];
    random(&mut id)?;
    let path = device.path();
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(SwapError::Header)?;
    let actual = file.seek(SeekFrom::End(0)).map_err(SwapError::Header)?;
    file.write_all_at(&header::header(size.min(actual), id), 0)
        .and_then(|()| file.sync_data())
        .map_err(SwapError::Header)?;
    drop(file);
    let path = CString::new(path.into_os_string().into_vec())
        .map_err(|error| SwapError::Swap(io::Error::from(error)))?;
    swap::start(&path).map_err(SwapError::Swap)?;
    Ok(path)
}

fn random(bytes: &mut [u8]) -> Result<(), SwapError> {
    // Up to 256 bytes come whole, or not at all.
    match getrandom(&mut *bytes, GetRandomFlags::empty()) {
        Ok(got) if got == bytes.len() => Ok(()),
        Ok(_) => Err(SwapError::Random(io::ErrorKind::UnexpectedEof.into())),
        Err(error) => Err(SwapError::Random(error.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_what_libcryptsetup_would_write() {
        let partition = DeviceNumber {
            major: 254,
            minor: 5,
        };
        assert_eq!(
            table(partition),
            "aes-xts-plain64 :64:logon:bastide:swap 0 254:5 0 1 sector_size:4096"
        );
    }
}
