//! Assets against a small archive made for the purpose.
#![forbid(unsafe_code)]

mod exchange;
mod mirror;
mod support;
