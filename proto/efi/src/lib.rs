//! EFI variables and signature lists.
#![forbid(unsafe_code)]
