//! What a scenario is.

use anyhow::Result;

use crate::bench::Bench;

/// When a scenario runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Always: needs no virtual machine.
    Quick,
    /// By default: one or a few boots.
    Default,
    /// Only when asked: counter-proofs and campaigns.
    Long,
}

impl Class {
    /// The word for lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Default => "default",
            Self::Long => "long",
        }
    }
}

/// A claim about Bastide, and the attempt to refute it.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name, which is the claim in short and the name of its file.
    pub name: &'static str,
    /// The claim as a sentence.
    pub claim: &'static str,
    /// When it runs.
    pub class: Class,
    /// Tries it; an error refutes the claim.
    pub run: fn(&Bench) -> Result<()>,
}
