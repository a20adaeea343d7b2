//! What the boot stages tell each other: command line, verity superblock, boot report.
#![forbid(unsafe_code)]
