//! Headers that cryptsetup wrote, that we write, and that somebody bent.
#![forbid(unsafe_code)]

use std::io;

use bastide_luks_format::{
    BINARY_SIZE, Cipher, Effort, Header, HeaderError, NewVolume, Passphrase, Place, Token, Unlock,
    VolumeKey, choose,
};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Of cryptsetup 2.6.1, without the zeros at the end.
const PRIMARY: &[u8] = include_bytes!("../samples/good/cryptsetup-2.6.1-primary.header");
const SECONDARY: &[u8] = include_bytes!("../samples/good/cryptsetup-2.6.1-secondary.header");

fn whole(sample: &[u8]) -> Vec<u8> {
    let mut copy = sample.to_vec();
    copy.resize(0x4000, 0);
    copy
}

/// The same bytes every time.
fn counting() -> impl FnMut(&mut [u8]) -> io::Result<()> {
    let mut state = 1_u64;
    move |bytes| {
        for byte in bytes {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            *byte = (state >> 56) as u8;
        }
        Ok(())
    }
}

fn ours(cipher: Cipher) -> (Header, VolumeKey) {
    let mut random = counting();
    let key = VolumeKey::generate(cipher.key_size(), &mut random).unwrap();
    let new = NewVolume {
        uuid: Uuid::from_bytes([7; 16]),
        label: "state",
        cipher,
    };
    let header = Header::new(&new, &key, &mut random).unwrap();
    let passphrase = Passphrase::new(b"passphrase").unwrap();
    let slot = header
        .add_keyslot(None, &key, &passphrase, Effort::HighEntropy, &mut random)
        .unwrap();
    (slot.into_header(), key)
}

/// Makes the checksum right again.
fn signed(mut copy: Vec<u8>) -> Vec<u8> {
    copy[448..512].fill(0);
    let sum = Sha256::digest(&copy);
    copy[448..480].copy_from_slice(&sum);
    copy
}

/// A copy with another JSON text.
fn with_json(copy: &[u8], json: &[u8]) -> Vec<u8> {
    let mut copy = copy.to_vec();
    copy[BINARY_SIZE..].fill(0);
    copy[BINARY_SIZE..BINARY_SIZE + json.len()].copy_from_slice(json);
    signed(copy)
}

fn json(copy: &[u8]) -> Value {
    let area = &copy[BINARY_SIZE..];
    let end = area.iter().position(|byte| *byte == 0).unwrap();
    serde_json::from_slice(&area[..end]).unwrap()
}

#[test]
fn cryptsetups_header_is_read_and_written_alike() {
    let [primary, secondary] = [(PRIMARY, Place::Primary), (SECONDARY, Place::Secondary)]
        .map(|(sample, place)| Header::parse(&whole(sample), place));
    let chosen = choose(primary, secondary, &mut counting()).unwrap();
    assert_eq!(chosen.repair, None);
    let header = chosen.header;
    assert_eq!(
        header.uuid().to_string(),
        "6a5d0f0e-1111-4222-8333-444455556666"
    );
    assert_eq!(header.label(), "sample");
    assert_eq!(header.keyslots().count(), 1);
    assert_eq!(header.tokens().count(), 2);
    for (sample, place) in [(PRIMARY, Place::Primary), (SECONDARY, Place::Secondary)] {
        let copy = header.encode(place).unwrap();
        // Binary parts to the bit but for the checksum, as members may be in another
        // order; JSON to the word.
        assert_eq!(copy[..448], sample[..448]);
        assert_eq!(json(&copy), json(&whole(sample)));
    }
}

#[test]
fn our_segment_is_as_cryptsetup_would_write_it() {
    let (header, _) = ours(Cipher::AesXtsHmacSha256);
    let copy = header.encode(Place::Primary).unwrap();
    let text = String::from_utf8_lossy(&copy[BINARY_SIZE..]).into_owned();
    for part in [
        r#""segments":{"0":{"type":"crypt","offset":"16777216","size":"dynamic","iv_tweak":"0","encryption":"aes-xts-random","sector_size":4096,"integrity":{"type":"hmac(sha256)","journal_encryption":"none","journal_integrity":"none"}}}"#,
        r#"{"keyslots":{"0":{"type":"luks2","key_size":96,"af":{"type":"luks1","stripes":4000,"hash":"sha256"},"area":{"type":"raw","offset":"32768","size":"385024","encryption":"aes-xts-plain64","key_size":64},"kdf":{"type":"pbkdf2","hash":"sha256","iterations":1000,"salt":""#,
        r#""config":{"json_size":"12288","keyslots_size":"16744448"}}"#,
        r#""tokens":{},"#,
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
}

#[test]
fn every_changed_byte_is_noticed() {
    let good = whole(PRIMARY);
    let end = PRIMARY.len() + 2;
    for position in 0..end {
        let mut copy = good.clone();
        copy[position] ^= 0x04;
        assert!(
            Header::parse(&copy, Place::Primary).is_err(),
            "byte {position}"
        );
    }
    for length in [0, 511, 4095, 4096, 0x3fff] {
        assert!(Header::parse(&good[..length], Place::Primary).is_err());
    }
    assert!(matches!(
        Header::parse(&good, Place::Secondary),
        Err(HeaderError::Magic(Place::Secondary))
    ));
}

#[test]
fn bent_binary_parts_are_refused() {
    let refused = |position: usize, bytes: &[u8]| {
        let mut copy = whole(PRIMARY);
        copy[position..position + bytes.len()].copy_from_slice(bytes);
        Header::parse(&signed(copy), Place::Primary).unwrap_err()
    };
    assert!(matches!(refused(6, &[0, 1]), HeaderError::Version(1)));
    for size in [0_u64, 0x3000, 0x4001, 0x40_0001, 0x80_0000, u64::MAX] {
        assert!(
            matches!(refused(8, &size.to_be_bytes()), HeaderError::Size(found) if found == size)
        );
    }
    // An allowed size of which there is not enough.
    assert!(matches!(
        refused(8, &0x40_0000_u64.to_be_bytes()),
        HeaderError::Short
    ));
    assert!(matches!(
        refused(24, &[b'x'; 48]),
        HeaderError::Text("label")
    ));
    assert!(matches!(
        refused(24, b"\x1b[2J\0"),
        HeaderError::Text("label")
    ));
    assert!(matches!(refused(24, b"a\0b"), HeaderError::Text("label")));
    assert!(matches!(
        refused(24, b"\xff\0\0\0\0\0"),
        HeaderError::Text("label")
    ));
    assert!(matches!(refused(72, b"crc32c"), HeaderError::Algorithm));
    assert!(matches!(refused(168, b"6A"), HeaderError::Text("UUID")));
    assert!(matches!(refused(256, &[1]), HeaderError::Offset(_)));
    assert!(matches!(refused(264, &[1]), HeaderError::Stray));
    assert!(matches!(refused(512, &[1]), HeaderError::Stray));
    assert!(matches!(refused(4095, &[1]), HeaderError::Stray));
}

/// Whether the header is still valid when the value at a JSON pointer is replaced, or
/// taken out.
fn bent(pointer: &str, value: Option<Value>) -> Result<Header, HeaderError> {
    let (header, _) = ours(Cipher::AesGcm);
    let copy = header.encode(Place::Primary).unwrap();
    let mut tree = json(&copy);
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = tree.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    match value {
        Some(value) => parent.insert(key.to_owned(), value),
        None => Some(parent.remove(key).unwrap()),
    };
    let copy = with_json(&copy, &serde_json::to_vec(&tree).unwrap());
    Header::parse(&copy, Place::Primary)
}

#[test]
fn every_member_is_needed_and_no_other_is_taken() {
    for pointer in [
        "/keyslots",
        "/tokens",
        "/segments",
        "/digests",
        "/config",
        "/config/json_size",
        "/config/keyslots_size",
        "/segments/0",
        "/segments/0/type",
        "/segments/0/offset",
        "/segments/0/size",
        "/segments/0/iv_tweak",
        "/segments/0/encryption",
        "/segments/0/sector_size",
        "/segments/0/integrity/journal_integrity",
        "/keyslots/0",
        "/keyslots/0/af",
        "/keyslots/0/area",
        "/keyslots/0/area/offset",
        "/keyslots/0/kdf",
        "/keyslots/0/kdf/salt",
        "/keyslots/0/key_size",
        "/digests/0",
        "/digests/0/salt",
        "/digests/0/segments",
    ] {
        assert!(bent(pointer, None).is_err(), "{pointer} is not needed");
    }
    for pointer in [
        "/more",
        "/config/more",
        "/segments/1",
        "/segments/0/flags",
        "/segments/0/integrity/more",
        "/keyslots/0/more",
        "/keyslots/0/kdf/more",
        "/keyslots/0/kdf/time",
        "/keyslots/0/af/more",
        "/keyslots/0/area/more",
        "/digests/0/more",
    ] {
        assert!(bent(pointer, Some(1.into())).is_err(), "{pointer} is taken");
    }
}

#[test]
fn what_would_weaken_or_overwhelm_is_refused() {
    let refused: &[(&str, Value)] = &[
        // Key slots that any passphrase opens.
        ("/keyslots/0/area/encryption", "cipher_null-ecb".into()),
        ("/keyslots/0/area/encryption", "aes-cbc-essiv:sha256".into()),
        ("/keyslots/0/area/key_size", 0.into()),
        ("/keyslots/0/area/key_size", 16.into()),
        ("/keyslots/0/kdf/iterations", 999.into()),
        ("/keyslots/0/kdf/iterations", 50_000_001.into()),
        ("/keyslots/0/kdf/iterations", (-1).into()),
        ("/keyslots/0/kdf/hash", "sha1".into()),
        ("/keyslots/0/kdf/salt", "AAAA".into()),
        ("/keyslots/0/kdf/salt", "not base64!".into()),
        ("/keyslots/0/type", "reencrypt".into()),
        ("/keyslots/0/key_size", 0.into()),
        ("/keyslots/0/key_size", 129.into()),
        ("/keyslots/0/key_size", 4_294_967_296_u64.into()),
        ("/keyslots/0/af/stripes", 1.into()),
        ("/keyslots/0/af/hash", "crc32".into()),
        ("/keyslots/0/priority", 3.into()),
        // Areas that lie over something else.
        ("/keyslots/0/area/offset", "0".into()),
        ("/keyslots/0/area/offset", "28672".into()),
        ("/keyslots/0/area/offset", "32769".into()),
        ("/keyslots/0/area/offset", "16777216".into()),
        ("/keyslots/0/area/offset", "18446744073709547520".into()),
        ("/keyslots/0/area/offset", "-4096".into()),
        ("/keyslots/0/area/offset", 32768.into()),
        ("/keyslots/0/area/size", "0".into()),
        ("/keyslots/0/area/size", "4096".into()),
        ("/keyslots/0/area/size", "18446744073709547520".into()),
        ("/config/json_size", "12287".into()),
        ("/config/keyslots_size", "16748544".into()),
        ("/config/keyslots_size", "16744447".into()),
        ("/config/keyslots_size", "134221824".into()),
        ("/segments/0/offset", "4096".into()),
        ("/segments/0/offset", "16777217".into()),
        ("/segments/0/offset", "18446744073709547520".into()),
        ("/segments/0/size", "4096".into()),
        ("/segments/0/sector_size", 8192.into()),
        ("/segments/0/sector_size", 0.into()),
        ("/segments/0/iv_tweak", "1".into()),
        ("/segments/0/type", "linear".into()),
        ("/segments/0/encryption", "a\u{1b}[2J".into()),
        ("/segments/0/encryption", "x".repeat(65).into()),
        ("/segments/0/integrity", Value::Null),
        ("/digests/0/iterations", 0.into()),
        ("/digests/0/keyslots", serde_json::json!(["1"])),
        ("/digests/0/segments", serde_json::json!([])),
        ("/digests/0/segments", serde_json::json!(["0", "0"])),
        ("/digests/0/digest", "AAAA".into()),
        (
            "/tokens/0",
            serde_json::json!({"type": "a", "keyslots": ["5"]}),
        ),
        (
            "/tokens/32",
            serde_json::json!({"type": "a", "keyslots": []}),
        ),
        (
            "/config/requirements",
            serde_json::json!({"mandatory": ["online-reencrypt"]}),
        ),
    ];
    for (pointer, value) in refused {
        // Null stands for a segment whose data is not authenticated: valid, but of no
        // cipher of ours.
        match bent(pointer, (!value.is_null()).then(|| value.clone())) {
            Ok(header) => assert!(value.is_null() && header.segment().unwrap().cipher().is_err()),
            Err(_) => assert!(!value.is_null(), "{pointer} = {value}"),
        }
    }
    // Bent otherwise, it is read: but never as something that we would activate.
    for encryption in ["cipher_null-ecb", "aes-xts-plain64", "aes-gcm-plain64"] {
        let header = bent("/segments/0/encryption", Some(encryption.into())).unwrap();
        assert!(matches!(
            header.segment().unwrap().cipher(),
            Err(HeaderError::Cipher { .. })
        ));
    }
}

#[test]
fn what_is_harmless_is_taken() {
    for (pointer, value) in [
        ("/keyslots/0/priority", 2.into()),
        ("/config/flags", serde_json::json!(["allow-discards"])),
        ("/config/requirements", serde_json::json!({"mandatory": []})),
        (
            "/tokens/31",
            serde_json::json!({"type": "a", "keyslots": ["0"], "x": {}}),
        ),
        (
            "/keyslots/0/kdf",
            serde_json::json!({"type": "argon2id", "time": 4, "memory": 1_048_576, "cpus": 4,
                "salt": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}),
        ),
    ] {
        let header = bent(pointer, Some(value)).unwrap();
        let again = Header::parse(&header.encode(Place::Primary).unwrap(), Place::Primary);
        assert_eq!(again.unwrap().keyslots().count(), 1, "{pointer}");
    }
}

#[test]
fn json_areas_are_one_object_and_zeros() {
    let (header, _) = ours(Cipher::AesGcm);
    let copy = header.encode(Place::Primary).unwrap();
    let text = serde_json::to_string(&json(&copy)).unwrap();
    assert!(Header::parse(&with_json(&copy, text.as_bytes()), Place::Primary).is_ok());
    let deep = format!("{}{}", r#"{"a":"#.repeat(1500), "}".repeat(1500));
    for bad in [
        String::new(),
        "{}".to_owned(),
        "[]".to_owned(),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}\0x"),
        format!("{text}{text}"),
        text.replace(r#""tokens":{}"#, r#""tokens":{},"tokens":{}"#),
        text.replace(r#""key_size":64"#, r#""key_size":64,"key_size":64"#),
        text.replace('}', ""),
        deep,
        "{".repeat(12_287),
    ] {
        let copy = with_json(&copy, bad.as_bytes());
        assert!(Header::parse(&copy, Place::Primary).is_err(), "{bad}");
    }
    // No zero at the end.
    let full = format!("{text}{}", "x".repeat(12_288 - text.len()));
    assert!(Header::parse(&with_json(&copy, full.as_bytes()), Place::Primary).is_err());
}

#[test]
fn only_the_passphrase_opens_and_only_its_key_slot() {
    let mut random = counting();
    let (header, key) = ours(Cipher::AesXtsHmacSha256);
    let passphrase = Passphrase::new(b"second").unwrap();
    let new = header
        .add_keyslot(None, &key, &passphrase, Effort::HighEntropy, &mut random)
        .unwrap();
    assert_eq!((new.number, new.offset), (1, 32_768 + 385_024));
    let mut material = new.material.clone();
    let header = new.into_header();
    let opened = header.unlock(1, &material, &passphrase).unwrap();
    assert!(matches!(opened, Unlock::Opened(found) if found.expose() == key.expose()));
    let other = Passphrase::new(b"secone").unwrap();
    let refused = header.unlock(1, &material, &other).unwrap();
    assert!(matches!(refused, Unlock::Refused));
    // The same material under another key slot's salt is nothing.
    let refused = header.unlock(0, &material, &passphrase).unwrap();
    assert!(matches!(refused, Unlock::Refused));
    assert!(header.unlock(2, &material, &passphrase).is_err());
    assert!(header.unlock(1, &material[..1000], &passphrase).is_err());
    material[100_000] ^= 1;
    let refused = header.unlock(1, &material, &passphrase).unwrap();
    assert!(matches!(refused, Unlock::Refused));
    // A key of somebody else gets no key slot.
    let foreign = VolumeKey::new(&[9; 96]).unwrap();
    assert!(
        header
            .add_keyslot(
                None,
                &foreign,
                &passphrase,
                Effort::HighEntropy,
                &mut random
            )
            .is_err()
    );
}

#[test]
fn headers_fill_up_without_harm() {
    let mut random = counting();
    let (mut header, key) = ours(Cipher::AesXtsHmacSha256);
    let passphrase = Passphrase::new(b"more").unwrap();
    let mut made = 1;
    // 16 MiB hold 43 areas, but there are 32 numbers.
    let full = loop {
        match header.add_keyslot(None, &key, &passphrase, Effort::HighEntropy, &mut random) {
            Ok(new) => {
                assert_eq!(new.number, made);
                made += 1;
                header = new.into_header();
            }
            Err(error) => break error,
        }
    };
    assert!(made > 15, "{made}: {full}");
    // A gap is used again.
    let area = header.keyslot(3).unwrap().area().offset();
    header = header.without_keyslot(3).unwrap();
    let again = header
        .add_keyslot(None, &key, &passphrase, Effort::HighEntropy, &mut random)
        .unwrap();
    assert_eq!((again.number, again.offset), (3, area));

    let large = [("blob".to_owned(), Value::from("x".repeat(12_288)))];
    let token = Token::new("large", &[], large.into_iter().collect()).unwrap();
    assert!(matches!(header.set_token(token), Err(HeaderError::Full)));
    assert_eq!(header.tokens().count(), 0);
    assert!(Header::parse(&header.encode(Place::Secondary).unwrap(), Place::Secondary).is_ok());
}

#[test]
fn the_newer_copy_counts_and_the_other_is_repaired() {
    let mut random = counting();
    let (old, _) = ours(Cipher::AesGcm);
    let mut new = old.clone();
    new.count_change().unwrap();
    let copy = |header: &Header, place| Header::parse(&header.encode(place).unwrap(), place);
    for (primary, secondary, sequence, repair) in [
        (Some(&old), Some(&old), 0, None),
        (Some(&new), Some(&old), 1, Some(Place::Secondary)),
        (Some(&old), Some(&new), 1, Some(Place::Primary)),
        (Some(&new), None, 1, Some(Place::Secondary)),
        (None, Some(&old), 0, Some(Place::Primary)),
    ] {
        let get = |header: Option<&Header>, place| match header {
            Some(header) => copy(header, place),
            None => Err(HeaderError::Checksum),
        };
        let chosen = choose(
            get(primary, Place::Primary),
            get(secondary, Place::Secondary),
            &mut random,
        )
        .unwrap();
        assert_eq!(chosen.header.sequence(), sequence);
        assert_eq!(chosen.repair, repair);
        // Every copy that is written can be read again.
        for place in [Place::Primary, Place::Secondary] {
            assert!(copy(&chosen.header, place).is_ok());
        }
    }
    let none = || Err(HeaderError::Checksum);
    assert!(choose(none(), none(), &mut random).is_err());
}
