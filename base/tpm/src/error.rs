//! What may go wrong with any command.

use std::io;

use crate::ResponseCode;

/// Why the TPM gave no answer that can be used.
#[derive(Debug, thiserror::Error)]
pub enum TpmError {
    /// The machine has no TPM that the kernel knows.
    #[error(
        "there is no TPM 2.0: /dev/tpmrm0 does not exist; switch it on in the firmware's settings"
    )]
    Absent,
    /// The device cannot be opened.
    #[error("cannot open {path}")]
    Open {
        /// Which.
        path: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The bytes do not get through.
    #[error("cannot talk to the TPM ({command})")]
    Transport {
        /// The command that was under way.
        command: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The answer is not what the specification says.
    #[error("the TPM's answer to {command} makes no sense")]
    Malformed {
        /// To which command.
        command: &'static str,
    },
    /// The answer was changed on the way.
    #[error(
        "the TPM's answer to {command} was changed on its way: something sits between processor and TPM"
    )]
    Tampered {
        /// To which command.
        command: &'static str,
    },
    /// The TPM refuses.
    #[error("the TPM refuses {command}: {code}")]
    Refused {
        /// Which command.
        command: &'static str,
        /// Why.
        code: ResponseCode,
    },
    /// The kernel gives no random numbers.
    #[error("the kernel gives no random numbers")]
    Random(#[source] io::Error),
    /// The bank that all policies are made with is off.
    #[error("the TPM's SHA-256 bank of PCRs is not active; activate it in the firmware's settings")]
    NoSha256Bank,
}

impl TpmError {
    /// The TPM's reason, if it is the TPM that refuses.
    #[must_use]
    pub fn reason(&self) -> Option<ResponseCode> {
        match self {
            Self::Refused { code, .. } => Some(code.reason()),
            _ => None,
        }
    }
}
