//! Runs build steps in an isolated SDK and keeps their outputs by the hash of their inputs.
#![forbid(unsafe_code)]
