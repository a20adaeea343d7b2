//! The dm-verity target's parameters and status
//! (Documentation/admin-guide/device-mapper/verity.rst).

use std::fmt;

use bastide_boot::{BLOCK_SIZE, FEC_ROOTS, Geometry};

use crate::{Status, Volume};

const SECTOR_SIZE: u64 = 512;

/// Major and minor number of a block device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// Length of the device, in sectors.
pub fn sectors(geometry: &Geometry) -> u64 {
    geometry.data_blocks * (u64::from(BLOCK_SIZE) / SECTOR_SIZE)
}

/// The target's parameters. No option says what to do on corruption: the default, an
/// I/O error for the reader, is what we want.
pub fn table(volume: &Volume<'_>) -> String {
    let Volume {
        partition,
        geometry,
        root_hash,
        salt,
        signature_key,
        ..
    } = volume;
    let salt = match salt {
        [] => "-".to_owned(),
        salt => hex::encode(salt),
    };
    format!(
        "1 {partition} {partition} {BLOCK_SIZE} {BLOCK_SIZE} {} {} sha256 {root_hash} {salt} 10 \
         use_fec_from_device {partition} fec_start {} fec_blocks {} fec_roots {FEC_ROOTS} \
         root_hash_sig_key_desc {signature_key}",
        geometry.data_blocks, geometry.hash_start, geometry.fec_start, geometry.fec_blocks,
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
    use bastide_boot::HashOffset;

    use super::*;

    #[test]
    fn the_table_is_what_libcryptsetup_would_write() {
        let root_hash = "0ed089cb79cc78921980e514a87d5f226ba458b5ac2236adfb2bfbdf3bbf5eab"
            .parse()
            .unwrap();
        let geometry = Geometry::new(HashOffset::from_bytes(3000 * 4096).unwrap());
        let volume = Volume {
            name: "core",
            uuid: "CRYPT-VERITY-core",
            partition: DeviceNumber {
                major: 254,
                minor: 2,
            },
            geometry: &geometry,
            root_hash: &root_hash,
            salt: &[0, 0x11],
            signature_key: "bastide:core",
        };
        assert_eq!(
            table(&volume),
            "1 254:2 254:2 4096 4096 3000 3001 sha256 \
             0ed089cb79cc78921980e514a87d5f226ba458b5ac2236adfb2bfbdf3bbf5eab 0011 10 \
             use_fec_from_device 254:2 fec_start 3026 fec_blocks 3025 fec_roots 2 \
             root_hash_sig_key_desc bastide:core"
        );
        assert!(
            table(&Volume {
                salt: &[],
                ..volume
            })
            .contains("5eab - 10 ")
        );
        assert_eq!(sectors(&geometry), 24_000);
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
