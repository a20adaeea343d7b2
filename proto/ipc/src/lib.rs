//! The Varlink interfaces of Bastide.
#![forbid(unsafe_code)]
