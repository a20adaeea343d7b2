//! Random numbers of the kernel's.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

use crate::TpmError;

/// Fills `buffer`; waits until the kernel's generator is seeded.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), TpmError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match getrandom(&mut buffer[filled..], GetRandomFlags::empty()) {
            Ok(count) => filled += count,
            Err(Errno::INTR) => {}
            Err(error) => return Err(TpmError::Random(error.into())),
        }
    }
    Ok(())
}
