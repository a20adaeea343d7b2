//! Composes the Core's file system and says where each file came from.
#![forbid(unsafe_code)]
