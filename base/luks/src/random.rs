//! Random bytes from the kernel.

use std::io;

use rustix::rand::{GetRandomFlags, getrandom};

/// Fills a buffer with random bytes; waits until the kernel has gathered enough.
///
/// # Errors
/// What the kernel says.
pub fn fill(bytes: &mut [u8]) -> io::Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match getrandom(&mut bytes[done..], GetRandomFlags::empty()) {
            Ok(more) => done += more,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn whole_buffers_are_filled() {
        let mut bytes = vec![0; 1 << 20];
        super::fill(&mut bytes).unwrap();
        assert!(bytes[bytes.len() - 32..].iter().any(|byte| *byte != 0));
    }
}
