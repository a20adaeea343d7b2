//! Makes the Core image, the UKI and the bootable disk.
#![forbid(unsafe_code)]
