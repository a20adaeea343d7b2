//! Why a state is refused, and what a person can do about it.

use crate::refusal::Refusal;

/// What to do about a state that is not opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Advice {
    /// The disk has no partition for it.
    NoPartition,
    /// The TPM knows of a state, and the disk holds another or none.
    Replaced,
    /// There is no TPM that can be used.
    NoTpm,
    /// The TPM belongs to somebody whose secrets we do not have.
    Owned,
    /// Neither the TPM nor a person opened it.
    Locked,
    /// What was opened does not work.
    Damaged,
    /// It could not be made.
    NotMade,
}

impl Advice {
    /// A refusal with this advice, for the reason `why`.
    pub fn refusal(self, why: &str) -> Refusal {
        Refusal::new("state", why, self.text())
    }

    fn text(self) -> &'static str {
        match self {
            Self::NoPartition => "reinstall",
            Self::Replaced => {
                "attach the disk that belongs to this machine; to give the old state up and begin \
                 anew, clear the TPM in the firmware's settings"
            }
            Self::NoTpm => "switch a TPM 2.0 on in the firmware's settings",
            Self::Owned => {
                "another system has taken this TPM; clear it in the firmware's settings, then start again"
            }
            Self::Locked => "start again with the recovery key at hand",
            Self::NotMade => {
                "start again; if it fails again, replace the disk or the TPM that is named"
            }
            Self::Damaged => {
                "restore the disk, or read what is left with the recovery key elsewhere"
            }
        }
    }
}
