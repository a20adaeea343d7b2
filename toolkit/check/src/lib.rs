//! Checks the tree: arrows between rooms, dependencies, licences.
#![forbid(unsafe_code)]
