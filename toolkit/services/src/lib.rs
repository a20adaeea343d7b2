//! What the services of a product may reach, shown to people: drawn as a graph, and
//! scored beside the items of `systemd-analyze security`.
//!
//! Trust boundary: reads the definitions of the checkout with the parser that PID 1
//! uses, so that what is drawn is what is enforced.
//!
//! This never does: look at a running machine, or write anything but what it returns.
#![forbid(unsafe_code)]

pub mod catalogue;
pub mod exposure;
pub mod graph;
mod xml;

#[cfg(test)]
mod samples;
