//! The log's format: what a record is, how records are chained, sealed and
//! anchored, how the whole is verified, and the formats that the log is fed with.
//!
//! Trust boundary: the parsers ([`syslog`], [`journal`], [`kernel`], [`audit`],
//! [`intake`]) meet bytes of anybody; [`verify`] meets files that an attacker may
//! have written, and trusts nothing but the root's public key and the TPM's
//! counter, which its caller gives.
//!
//! # On disk
//! A folder per [stream](name::StreamName), which is one source's log, and one more,
//! the [ledger]. Files are named `<boot, 10 digits>-<part, 6 digits>.log`,
//! parts counting on across boots. A line is
//! `<hash> <json>[ <signature>]`, where `hash` is SHA-256 of the hash before it and
//! the JSON text, and `signature` is Ed25519's over the domain, the stream's name and
//! the hash. Streams never share a line, so that one source can neither displace
//! another's entries nor the seals over them.
//!
//! # What seals what
//! The key that signs is replaced with each signature: the signed record names the
//! next public key, and the old secret is erased. So who takes the machine over can
//! sign what comes, and nothing that was. The ledger's first key of a boot is
//! [certified](certificate) by the root key, which only the initramfs can have; a
//! stream's first key is named in the ledger; and each anchor in the ledger names the
//! last record of every stream, and goes with one step of a TPM counter that nobody
//! can turn back. Another TPM counts from a small number again: boots are known by
//! their [epoch], which is the TPM's, and their number.
//!
//! This never does: I/O, waiting, or keeping a secret longer than its owner.
#![forbid(unsafe_code)]

pub mod audit;
pub mod certificate;
pub mod chain;
pub mod digest;
pub mod entry;
pub mod epoch;
pub mod intake;
pub mod journal;
pub mod kernel;
pub mod key;
pub mod ledger;
pub mod line;
pub mod name;
pub mod record;
pub mod seal_file;
pub mod syslog;
pub mod text;
pub mod verify;
