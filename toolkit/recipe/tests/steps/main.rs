//! The engine and its sandbox, with an SDK made from the host's own programs.

mod ending;
mod engine;
mod sandbox;
mod support;
