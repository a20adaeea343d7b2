//! Reading and writing wire bytes.

use zeroize::Zeroizing;

/// Commands of ours are all smaller, so the buffer never moves and leaves no copy.
const CAPACITY: usize = 2048;

/// Parameters in the making. Wiped when dropped.
pub struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(crate) fn new() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(CAPACITY)))
    }

    pub(crate) fn byte(&mut self, value: u8) -> &mut Self {
        self.0.push(value);
        self
    }

    pub(crate) fn u16(&mut self, value: u16) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes(&value.to_be_bytes())
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// A `TPM2B` structure.
    ///
    /// # Panics
    /// On more than 65535 bytes, which no caller has.
    pub(crate) fn sized(&mut self, bytes: &[u8]) -> &mut Self {
        let length = u16::try_from(bytes.len()).expect("no parameter is that long");
        self.u16(length).bytes(bytes)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.0
    }

    /// The content of the `TPM2B` that comes first.
    pub(crate) fn first_sized(&mut self) -> Option<&mut [u8]> {
        let (length, rest) = self.0.split_first_chunk_mut::<2>()?;
        rest.get_mut(..usize::from(u16::from_be_bytes(*length)))
    }
}

/// Bytes that came from the TPM, or from whoever pretends to be it.
pub struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(bytes)
    }

    fn array<const COUNT: usize>(&mut self) -> Option<[u8; COUNT]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(crate) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    /// The content of a `TPM2B` structure of at most `most` bytes.
    pub(crate) fn sized(&mut self, most: usize) -> Option<&'a [u8]> {
        let length = usize::from(self.u16()?);
        if length > most {
            return None;
        }
        self.bytes(length)
    }

    pub(crate) fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let mut writer = Writer::new();
        writer.byte(1).u16(2).u32(3).sized(b"four");
        let mut reader = Reader::new(writer.as_slice());
        assert_eq!(reader.byte(), Some(1));
        assert_eq!(reader.u16(), Some(2));
        assert_eq!(reader.u32(), Some(3));
        assert_eq!(reader.sized(4), Some(&b"four"[..]));
        assert!(reader.is_empty());
        assert_eq!(reader.byte(), None);
    }

    #[test]
    fn lengths_are_bounded() {
        assert_eq!(Reader::new(&[0, 2, 7]).sized(10), None);
        assert_eq!(Reader::new(&[0, 2, 7, 7]).sized(1), None);
        assert_eq!(Reader::new(&[0]).sized(1), None);
    }

    #[test]
    fn the_first_structure_can_be_changed_in_place() {
        let mut writer = Writer::new();
        writer.sized(b"ab").byte(9);
        writer.first_sized().unwrap().fill(b'x');
        assert_eq!(writer.as_slice(), [0, 2, b'x', b'x', 9]);
        assert!(Writer::new().first_sized().is_none());
    }
}
