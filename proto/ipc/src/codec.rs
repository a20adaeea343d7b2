//! Varlink framing: each message is JSON followed by one NUL byte
//! (<https://varlink.org/Method-Call>).

use serde::Serialize;

/// The largest message accepted or sent, in bytes, without its NUL.
pub const MESSAGE_LIMIT: usize = 64 * 1024;

/// Why a stream of messages cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The peer sends a message that is larger than any we read.
    #[error("the message is longer than {MESSAGE_LIMIT} bytes")]
    TooLong,
    /// Our own message would be larger than a peer of ours reads.
    #[error("the message to send is {0} bytes long; the limit is {MESSAGE_LIMIT}")]
    OwnTooLong(usize),
    /// Our own message cannot be written as JSON.
    #[error("the message to send cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// Cuts a stream of bytes into messages.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// Bytes at the front known to hold no NUL, so that none is looked at twice.
    searched: usize,
}

impl Decoder {
    /// Adds bytes as they came from the socket.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete message without its NUL, if there is one.
    ///
    /// # Errors
    /// When the message is too long; the stream is of no more use then.
    pub fn next_message(&mut self) -> Result<Option<Vec<u8>>, FrameError> {
        let unseen = self.buffer.get(self.searched..).unwrap_or_default();
        match unseen.iter().position(|byte| *byte == 0) {
            Some(offset) => {
                let end = self.searched + offset;
                if end > MESSAGE_LIMIT {
                    return Err(FrameError::TooLong);
                }
                let mut message: Vec<u8> = self.buffer.drain(..=end).collect();
                message.pop();
                self.searched = 0;
                Ok(Some(message))
            }
            None if self.buffer.len() > MESSAGE_LIMIT => Err(FrameError::TooLong),
            None => {
                self.searched = self.buffer.len();
                Ok(None)
            }
        }
    }

    /// Bytes held back.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.buffer.len()
    }
}

/// Writes a message with its NUL.
///
/// # Errors
/// When it is longer than [`MESSAGE_LIMIT`].
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>, FrameError> {
    let mut bytes = serde_json::to_vec(message)?;
    if bytes.len() > MESSAGE_LIMIT {
        return Err(FrameError::OwnTooLong(bytes.len()));
    }
    bytes.push(0);
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_come_out_however_the_bytes_come_in() {
        let stream = b"{\"a\":1}\0{}\0\0tail";
        for step in 1..=stream.len() {
            let mut decoder = Decoder::default();
            let mut messages = Vec::new();
            for bytes in stream.chunks(step) {
                decoder.push(bytes);
                while let Some(message) = decoder.next_message().expect("short") {
                    messages.push(message);
                }
            }
            assert_eq!(
                messages,
                [b"{\"a\":1}".to_vec(), b"{}".to_vec(), Vec::new()]
            );
            assert_eq!(decoder.pending(), 4);
        }
    }

    #[test]
    fn a_message_without_end_is_given_up() {
        let mut decoder = Decoder::default();
        decoder.push(&vec![b' '; MESSAGE_LIMIT]);
        assert!(matches!(decoder.next_message(), Ok(None)));
        decoder.push(b" ");
        assert!(matches!(decoder.next_message(), Err(FrameError::TooLong)));
    }

    #[test]
    fn the_longest_message_passes_and_one_more_byte_does_not() {
        let mut decoder = Decoder::default();
        decoder.push(&vec![b' '; MESSAGE_LIMIT]);
        decoder.push(&[0]);
        assert_eq!(
            decoder
                .next_message()
                .expect("short")
                .map(|text| text.len()),
            Some(MESSAGE_LIMIT)
        );
        decoder.push(&vec![b' '; MESSAGE_LIMIT + 1]);
        decoder.push(&[0]);
        assert!(decoder.next_message().is_err());
        assert!(encode(&"x".repeat(MESSAGE_LIMIT)).is_err());
    }
}
