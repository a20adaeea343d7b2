//! Configures and builds the kernel.
//!
//! Purpose: a product says in fragments which kernel options it wants, and in a
//! list which must never be on, each group under its reason ([`Wanted`]); a short
//! step lets the kernel's own tools complete that, and the result is compared with
//! what was asked ([`CheckedConfiguration`]); only then does the long step compile
//! it ([`build`]).
//!
//! Trust boundary: the definition and the kernel's source are trusted as much as
//! the rest of the tree; what this guards against is a mistake in the one or a
//! change in the other that would silently leave a protection out.
//!
//! This never does: compiling a configuration that differs from what was asked,
//! putting a key into the kernel, or drawing a random number.

#![forbid(unsafe_code)]

mod configuration;
mod definition;
mod option;
mod step;
mod wanted;

pub use configuration::{CheckedConfiguration, Facts, HardeningScore, Violation, Violations};
pub use definition::{Grammar, Group, Location, Mistake};
pub use option::{OptionName, Value};
pub use step::{BuildError, Kernel, build, compile_step, configuration_step};
pub use wanted::{Error, Exception, Prohibition, Request, Wanted};
