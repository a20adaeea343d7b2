//! Claims about a running Bastide, each attacked in a virtual machine.
#![forbid(unsafe_code)]
