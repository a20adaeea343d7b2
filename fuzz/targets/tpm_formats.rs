//! What the machine reads of its TPM, of its kernel bundle and from a person: the
//! provisioning record, the sealed secret, PCR signatures and keys, the recovery key.
#![no_main]

use bastide_tpm_policy::{PcrKey, Record, RecoveryKey, Sealed, SignatureFile};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(record) = Record::decode(bytes) {
        assert_eq!(record.encode(), bytes);
    }
    if let Ok(sealed) = Sealed::decode(bytes) {
        assert_eq!(sealed.encode(), bytes);
        assert!(bytes.len() <= Sealed::LARGEST);
    }
    if let Ok(file) = SignatureFile::parse(bytes) {
        let text = format!("{{\"bastide\":{}}}", file.to_json_list());
        let again = SignatureFile::parse(text.as_bytes());
        assert_eq!(again.ok().as_ref(), Some(&file));
    }
    let _pem = PcrKey::from_pem(bytes);
    if let Ok(key) = PcrKey::from_der(bytes) {
        // It goes into a TPM command as it is.
        assert!(key.public_area().len() < 1024);
    }
    if let Ok(typed) = std::str::from_utf8(bytes)
        && let Ok(key) = RecoveryKey::parse(typed)
    {
        let again = RecoveryKey::parse(key.text());
        assert_eq!(again.ok().as_ref().map(RecoveryKey::text), Some(key.text()));
    }
});
