//! The definitions that shape a Bastide: products, services, and what the Core
//! knows of the product it belongs to.
//!
//! One parser for PID 1, the toolkit and the checks, so that they cannot
//! disagree. Trust boundary: the text comes from the source tree or from the
//! verified Core, but is treated as hostile all the same: bounded in size, every
//! unknown key refused, every value checked before it reaches a typed structure.
//!
//! This never does: reading files, looking anything up on the running machine,
//! or guessing what an author meant.
#![forbid(unsafe_code)]

pub mod address_family;
pub mod capability;
pub mod name;
pub mod problem;
pub mod product;
pub mod product_info;
pub mod service;
pub mod system_call;
pub mod users;
