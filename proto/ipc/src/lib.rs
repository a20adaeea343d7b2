//! The Varlink interfaces of Bastide: framing, messages and the typed methods.
//!
//! Trust boundary: bytes from any process that can open a socket come in here;
//! typed calls go out. Every message is bounded before it is parsed.
//!
//! This never does: I/O, waiting, or deciding who may call; the program that
//! owns the socket does that. It is a codec of its own rather than zlink's
//! connection because PID 1 serves from one poll loop without an async runtime:
//! zlink reads through futures only, and lets a peer make it hold 100 MB where
//! [`codec::MESSAGE_LIMIT`] is enough. zlink's interface parser judges our
//! interface files in the tests.
#![forbid(unsafe_code)]

pub mod codec;
pub mod init;
pub mod log;
pub mod message;
pub mod standard;
