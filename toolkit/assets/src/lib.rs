//! Pins, fetches, exports and imports everything a build takes from outside.
#![forbid(unsafe_code)]
