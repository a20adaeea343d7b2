//! The engine and its sandbox, with an SDK made from the host's own programs.
#![forbid(unsafe_code)]

mod ending;
mod engine;
mod sandbox;
mod support;
