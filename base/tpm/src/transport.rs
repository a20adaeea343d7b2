//! The way to a TPM.

use std::io::{self, Read, Write};

/// The longest command or answer, in bytes; the kernel's limit too.
pub const LARGEST_MESSAGE: usize = 4096;

const HEADER: usize = 10;

/// Carries one command there and its answer back.
pub trait Transport {
    /// Sends `command` and reads the whole answer into `answer`, which is empty and
    /// holds at most [`LARGEST_MESSAGE`] bytes afterwards.
    ///
    /// # Errors
    /// The bytes do not get through, or the answer says that it is longer.
    fn exchange(&mut self, command: &[u8], answer: &mut Vec<u8>) -> io::Result<()>;
}

/// A device or socket that takes commands and gives answers, bare.
#[derive(Debug)]
pub struct Stream<S>(S);

impl<S: Read + Write> Stream<S> {
    /// Over this device or socket.
    pub const fn new(stream: S) -> Self {
        Self(stream)
    }
}

impl<S: Read + Write> Transport for Stream<S> {
    fn exchange(&mut self, command: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
        // The kernel's device wants the command in one piece, so a rest is an error.
        let written = self.0.write(command)?;
        if written != command.len() {
            return Err(io::ErrorKind::WriteZero.into());
        }
        answer.resize(LARGEST_MESSAGE, 0);
        let mut length = 0;
        let mut expected = HEADER;
        while length < expected {
            match self.0.read(&mut answer[length..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            if let Some(size) = answer[..length].get(2..6) {
                let size = size
                    .iter()
                    .fold(0, |size, byte| size << 8 | usize::from(*byte));
                if !(HEADER..=LARGEST_MESSAGE).contains(&size) {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                expected = size;
            }
        }
        if length != expected {
            return Err(io::ErrorKind::InvalidData.into());
        }
        answer.truncate(length);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives an answer in pieces.
    struct Pieces(Vec<Vec<u8>>);

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                return Ok(0);
            }
            let piece = self.0.remove(0);
            buffer[..piece.len()].copy_from_slice(&piece);
            Ok(piece.len())
        }
    }

    impl Write for Pieces {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn read(pieces: &[&[u8]]) -> io::Result<Vec<u8>> {
        let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
        let mut answer = Vec::new();
        Stream::new(Pieces(pieces)).exchange(&[1], &mut answer)?;
        Ok(answer)
    }

    #[test]
    fn an_answer_in_pieces_is_put_together() {
        let whole = [0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 7, 7];
        for cut in 1..11 {
            assert_eq!(read(&[&whole[..cut], &whole[cut..]]).unwrap(), whole);
        }
    }

    #[test]
    fn other_lengths_than_announced_are_errors() {
        let mut answer = [0x80, 1, 0, 0, 0, 12, 0, 0, 0, 0, 7, 7, 7];
        assert!(read(&[&answer]).is_err(), "too long");
        assert!(read(&[&answer[..11]]).is_err(), "too short");
        for size in [0, 9, 4097, u32::MAX] {
            answer[2..6].copy_from_slice(&size.to_be_bytes());
            assert!(read(&[&answer]).is_err(), "{size}");
        }
    }
}
