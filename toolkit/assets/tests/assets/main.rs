//! Assets against a small archive made for the purpose.

mod exchange;
mod mirror;
mod support;
