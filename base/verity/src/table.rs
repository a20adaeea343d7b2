//! The dm-verity target's parameters and status
//! (Documentation/admin-guide/device-mapper/verity.rst).

use crate::{Layout, Status, Volume};

const SECTOR_SIZE: u64 = 512;

/// Length of the device, in sectors.
pub fn sectors(layout: &Layout) -> u64 {
    layout.data_blocks * (u64::from(layout.block_size) / SECTOR_SIZE)
}

/// The target's parameters. No option says what to do on corruption: the default, an
/// I/O error for the reader, is what we want.
pub fn table(volume: &Volume<'_>) -> String {
    let Volume {
        partition,
        layout:
            Layout {
                block_size,
                data_blocks,
                hash_start,
                fec_start,
                fec_blocks,
                fec_roots,
            },
        signature_key,
        ..
    } = volume;
    let root_hash = hex::encode(volume.root_hash);
    let salt = match volume.salt {
        [] => "-".to_owned(),
        salt => hex::encode(salt),
    };
    format!(
        "1 {partition} {partition} {block_size} {block_size} {data_blocks} {hash_start} sha256 \
         {root_hash} {salt} 10 use_fec_from_device {partition} fec_start {fec_start} \
         fec_blocks {fec_blocks} fec_roots {fec_roots} root_hash_sig_key_desc {signature_key}"
    )
}

/// Reads `V 0` (valid, none corrected), `C 2` (corruption seen, two corrected) or
/// `V -` (no error correction).
pub fn parse_status(text: &str) -> Option<Status> {
    let mut words = text.split(' ');
    let corrupted = match words.next()? {
        "V" => false,
        "C" => true,
        _ => return None,
    };
    let corrected = match words.next()? {
        "-" => 0,
        number => number.parse().ok()?,
    };
    Some(Status {
        corrupted,
        corrected,
    })
}

#[cfg(test)]
mod tests {
    use bastide_disk::DeviceNumber;

    use super::*;

    #[test]
    fn the_table_is_what_libcryptsetup_would_write() {
        let volume = Volume {
            name: "core",
            uuid: "CRYPT-VERITY-core",
            partition: DeviceNumber {
                major: 254,
                minor: 2,
            },
            layout: Layout {
                block_size: 4096,
                data_blocks: 3000,
                hash_start: 3001,
                fec_start: 3026,
                fec_blocks: 3025,
                fec_roots: 2,
            },
            root_hash: &[0x5e; 32],
            salt: &[0, 0x11],
            signature_key: "bastide:core",
        };
        assert_eq!(
            table(&volume),
            "1 254:2 254:2 4096 4096 3000 3001 sha256 \
             5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e5e 0011 10 \
             use_fec_from_device 254:2 fec_start 3026 fec_blocks 3025 fec_roots 2 \
             root_hash_sig_key_desc bastide:core"
        );
        assert!(
            table(&Volume {
                salt: &[],
                ..volume
            })
            .contains("5e5e - 10 ")
        );
        assert_eq!(sectors(&volume.layout), 24_000);
    }

    #[test]
    fn status_texts_are_read() {
        let status = |corrupted, corrected| {
            Some(Status {
                corrupted,
                corrected,
            })
        };
        assert_eq!(parse_status("V 0"), status(false, 0));
        assert_eq!(parse_status("C 2"), status(true, 2));
        assert_eq!(parse_status("V -"), status(false, 0));
        for text in ["", "V", "X 0", "V x", "v 0"] {
            assert_eq!(parse_status(text), None, "{text}");
        }
    }
}
