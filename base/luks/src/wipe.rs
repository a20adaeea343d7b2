//! The first wipe: gives every sector a tag that fits.

use crate::{
    Active, LuksError,
    device::{Aligned, Device},
};

/// Bytes of a write, as cryptsetup's.
const CHUNK: usize = 1024 * 1024;

impl Active {
    /// Writes zeros over the whole volume from a byte on, which must be whole
    /// mebibytes, and tells after each mebibyte how many bytes of how many are done.
    /// Activate without a journal for it: half the writes. Only when this returns is
    /// everything on the disk; a wipe that was cut off begins again.
    ///
    /// # Errors
    /// The device cannot be written.
    pub fn wipe(&self, from: u64, progress: &mut dyn FnMut(u64, u64)) -> Result<(), LuksError> {
        let device = Device::open(&self.path())?;
        let size = self.size();
        let zeros = Aligned::zeros(CHUNK);
        let mut offset = from;
        while offset < size {
            let rest = size - offset;
            if rest >= CHUNK as u64 {
                device.write_aligned(offset, &zeros)?;
                offset += CHUNK as u64;
            } else {
                device.write_aligned(offset, &Aligned::zeros(rest as usize))?;
                offset = size;
            }
            progress(offset, size);
        }
        device.sync()
    }
}
