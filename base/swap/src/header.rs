//! The swap header (`union swap_header` of `include/linux/swap.h`): the first page.

/// Bytes of a page.
const PAGE: usize = 4096;

const VERSION: usize = 1024;
const LAST_PAGE: usize = 1028;
const UUID: std::ops::Range<usize> = 1036..1052;
const MAGIC: &[u8; 10] = b"SWAPSPACE2";

/// The header of a swap area of so many bytes. Areas of 16 TiB and more are used up to
/// the largest page number that the header holds.
pub fn header(size: u64, uuid: [u8; 16]) -> [u8; PAGE] {
    let pages = size / PAGE as u64;
    let last = u32::try_from(pages.saturating_sub(1)).unwrap_or(u32::MAX);
    let mut header = [0; PAGE];
    header[VERSION..VERSION + 4].copy_from_slice(&1_u32.to_ne_bytes());
    header[LAST_PAGE..LAST_PAGE + 4].copy_from_slice(&last.to_ne_bytes());
    header[UUID].copy_from_slice(&uuid);
    header[PAGE - MAGIC.len()..].copy_from_slice(MAGIC);
    header
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn mkswap_writes_the_same() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("swap");
        std::fs::File::create(&path)
            .unwrap()
            .set_len(1 << 20)
            .unwrap();
        let made = Command::new("mkswap")
            .args(["--uuid", "01020304-0506-0708-090a-0b0c0d0e0f10"])
            .arg(&path)
            .output();
        let Ok(output) = made else {
            eprintln!("no mkswap here: passed over");
            return;
        };
        assert!(output.status.success());
        let written = std::fs::read(&path).unwrap();
        let uuid = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        assert_eq!(written[..PAGE], header(1 << 20, uuid));
    }
}
