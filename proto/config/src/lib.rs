//! Parsers of the product and service definitions.
#![forbid(unsafe_code)]
