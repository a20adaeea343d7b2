//! The `.pcrsig` section of a kernel bundle: which policies the PCR key approved.
//!
//! systemd's JSON (systemd-measure(1)), with one more key that is ours:
//!
//! ```json
//! {
//!   "sha256": [{"pcrs": [11], "pkfp": "...", "pol": "...", "sig": "..."}],
//!   "bastide": [{"pcrs": [11], "pkfp": "...", "pol": "...", "sig": "...", "version": 1000}]
//! }
//! ```
//!
//! systemd's tools use `sha256` and pass over `bastide`. In both, `pkfp` is the SHA-256
//! of the bare key and `pol` the policy's digest. In `sha256`, `sig` is the signature over
//! the policy's bytes; in `bastide`, over those and our policy reference
//! ([`crate::approval`]), so that what is signed for systemd's tools, which know of no
//! version, opens nothing of ours.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::{Digest, KERNEL_BUNDLE_PCR, Release};

/// The largest signature file that is looked at, in bytes.
pub const LARGEST_SIGNATURE_FILE: usize = 64 * 1024;

const LONGEST_SIGNATURE: usize = 512;
const MOST_POLICIES: usize = 16;

/// Why a signature file is refused.
#[derive(Debug, thiserror::Error)]
pub enum SignatureFileError {
    /// Too large to be one.
    #[error("the PCR signatures have {0} bytes, more than {LARGEST_SIGNATURE_FILE}")]
    Size(usize),
    /// Not the JSON that it should be.
    #[error("the PCR signatures are not what systemd's JSON and the key \"bastide\" hold")]
    Json(#[source] serde_json::Error),
    /// More entries than one kernel bundle has.
    #[error("the PCR signatures have {0} entries, more than {MOST_POLICIES}")]
    Entries(usize),
    /// An entry that cannot be used.
    #[error("entry {entry} of \"bastide\" in the PCR signatures has a bad {key}")]
    Entry {
        /// Which, from 0.
        entry: usize,
        /// Its key.
        key: &'static str,
    },
}

/// A policy with the PCR key's signature, which nobody has checked yet: the TPM does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovedPolicy {
    /// Whose signature it is: [`crate::PcrKey::fingerprint`].
    pub key: Digest,
    /// The policy's digest: [`crate::approved_policy`].
    pub policy: Digest,
    /// The signature over [`crate::approval`] of the policy.
    pub signature: Vec<u8>,
    /// The release it was signed for.
    pub release: Release,
}

/// What a `.pcrsig` section says under the key `bastide`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignatureFile {
    /// Its entries; one per value that PCR 11 may have.
    pub policies: Vec<ApprovedPolicy>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawFile {
    // systemd's banks, which we do not use but know.
    #[serde(default, rename = "sha1")]
    _sha1: Vec<RawSystemdEntry>,
    #[serde(default, rename = "sha256")]
    _sha256: Vec<RawSystemdEntry>,
    #[serde(default, rename = "sha384")]
    _sha384: Vec<RawSystemdEntry>,
    #[serde(default, rename = "sha512")]
    _sha512: Vec<RawSystemdEntry>,
    #[serde(default)]
    bastide: Vec<RawEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSystemdEntry {
    #[serde(rename = "pcrs")]
    _pcrs: Vec<u8>,
    #[serde(rename = "pkfp")]
    _pkfp: String,
    #[serde(rename = "pol")]
    _pol: String,
    #[serde(rename = "sig")]
    _sig: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntry {
    pcrs: Vec<u8>,
    pkfp: String,
    pol: String,
    sig: String,
    version: u64,
}

impl SignatureFile {
    /// Reads the content of a `.pcrsig` section, which may end in zeroes.
    ///
    /// # Errors
    /// It is too large, no such JSON, or holds an entry of ours that cannot be used.
    pub fn parse(bytes: &[u8]) -> Result<Self, SignatureFileError> {
        if bytes.len() > LARGEST_SIGNATURE_FILE {
            return Err(SignatureFileError::Size(bytes.len()));
        }
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        let raw: RawFile =
            serde_json::from_slice(&bytes[..end]).map_err(SignatureFileError::Json)?;
        if raw.bastide.len() > MOST_POLICIES {
            return Err(SignatureFileError::Entries(raw.bastide.len()));
        }
        let policies = raw
            .bastide
            .into_iter()
            .enumerate()
            .map(|(entry, raw)| {
                raw.validate()
                    .map_err(|key| SignatureFileError::Entry { entry, key })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { policies })
    }

    /// The list under the key `bastide`, as JSON.
    #[must_use]
    pub fn to_json_list(&self) -> String {
        let entries: Vec<RawEntry> = self.policies.iter().map(RawEntry::from).collect();
        serde_json::to_string(&entries).expect("numbers and texts serialise")
    }
}

impl RawEntry {
    fn validate(self) -> Result<ApprovedPolicy, &'static str> {
        if self.pcrs != [KERNEL_BUNDLE_PCR.number()] {
            return Err("pcrs");
        }
        let signature = STANDARD.decode(&self.sig).map_err(|_| "sig")?;
        if signature.is_empty() || signature.len() > LONGEST_SIGNATURE {
            return Err("sig");
        }
        Ok(ApprovedPolicy {
            key: Digest::from_hex(&self.pkfp).ok_or("pkfp")?,
            policy: Digest::from_hex(&self.pol).ok_or("pol")?,
            signature,
            release: Release::from_number(self.version),
        })
    }
}

impl From<&ApprovedPolicy> for RawEntry {
    fn from(approved: &ApprovedPolicy) -> Self {
        Self {
            pcrs: vec![KERNEL_BUNDLE_PCR.number()],
            pkfp: approved.key.to_string(),
            pol: approved.policy.to_string(),
            sig: STANDARD.encode(&approved.signature),
            version: approved.release.number(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> SignatureFile {
        SignatureFile {
            policies: vec![ApprovedPolicy {
                key: Digest::of(&[b"key"]),
                policy: Digest::of(&[b"policy"]),
                signature: vec![7; 256],
                release: Release::from_number(1000),
            }],
        }
    }

    fn json(ours: &str) -> String {
        let entry = format!(
            r#"{{"pcrs":[11],"pkfp":"{0}","pol":"{0}","sig":"AAAA"}}"#,
            "00".repeat(32)
        );
        format!(r#"{{"sha256":[{entry}],"bastide":{ours}}}"#)
    }

    #[test]
    fn comes_back_as_it_was() {
        let text = json(&file().to_json_list()) + "\0\0\0";
        assert_eq!(SignatureFile::parse(text.as_bytes()).unwrap(), file());
    }

    /// As ukify and the build's own step make it, for release 0.1.0.
    #[test]
    fn the_builds_file_is_read_and_adds_the_version_to_what_systemd_signed() {
        let bytes = include_bytes!("../samples/pcrsig.json");
        let key = include_bytes!("../samples/pcrsig.pem");
        let file = SignatureFile::parse(bytes).unwrap();
        let [ours] = &file.policies[..] else {
            panic!("one entry");
        };
        let key = crate::PcrKey::from_pem(key).unwrap();
        assert_eq!(ours.key, key.fingerprint());
        assert_eq!(ours.release, Release::from_version("0.1.0").unwrap());
        let json: serde_json::Value = serde_json::from_slice(bytes).unwrap();
        let systemds = json["sha256"][0]["pol"].as_str().unwrap();
        let systemds = Digest::from_hex(systemds).unwrap();
        let policy = crate::Policy::from_digest(systemds).no_newer_than(ours.release);
        assert_eq!(ours.policy, policy.digest());
    }

    #[test]
    fn a_bundle_without_ours_has_none() {
        let text = r#"{"sha256":[]}"#;
        assert!(
            SignatureFile::parse(text.as_bytes())
                .unwrap()
                .policies
                .is_empty()
        );
    }

    #[test]
    fn anything_else_is_refused() {
        let good = file().to_json_list();
        for (from, to) in [
            ("[11]", "[7]"),
            ("[11]", "[11,7]"),
            ("\"version\":1000", "\"version\":-1"),
            ("\"version\":1000", "\"version\":1000,\"more\":1"),
            (",\"version\":1000", ""),
            ("\"sig\":\"Bw", "\"sig\":\"!!"),
            ("\"pol\":\"", "\"pol\":\"0"),
        ] {
            let bad = good.replace(from, to);
            assert_ne!(bad, good, "{from}");
            assert!(SignatureFile::parse(json(&bad).as_bytes()).is_err(), "{to}");
        }
        let many = format!("[{}]", vec![&good[1..good.len() - 1]; 17].join(","));
        assert!(matches!(
            SignatureFile::parse(json(&many).as_bytes()),
            Err(SignatureFileError::Entries(17))
        ));
        let large = " ".repeat(LARGEST_SIGNATURE_FILE + 1);
        assert!(matches!(
            SignatureFile::parse(large.as_bytes()),
            Err(SignatureFileError::Size(_))
        ));
        assert!(SignatureFile::parse(b"").is_err());
    }
}
