//! Command codes and response codes (part 2, 6.5 and 6.6).

use std::fmt;

/// A command: its code, and its name for messages.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    pub(crate) number: u32,
    pub(crate) name: &'static str,
}

macro_rules! commands {
    ($($constant:ident = $number:literal $name:literal;)*) => {
        impl Code {
            $(pub(crate) const $constant: Self = Self { number: $number, name: $name };)*
        }
    };
}

commands! {
    EVICT_CONTROL = 0x120 "EvictControl";
    NV_UNDEFINE_SPACE = 0x122 "NV_UndefineSpace";
    CLEAR = 0x126 "Clear";
    HIERARCHY_CHANGE_AUTH = 0x129 "HierarchyChangeAuth";
    NV_DEFINE_SPACE = 0x12a "NV_DefineSpace";
    CREATE_PRIMARY = 0x131 "CreatePrimary";
    NV_INCREMENT = 0x134 "NV_Increment";
    NV_WRITE = 0x137 "NV_Write";
    DICTIONARY_ATTACK_PARAMETERS = 0x13a "DictionaryAttackParameters";
    PCR_EVENT = 0x13c "PCR_Event";
    POLICY_NV = 0x149 "PolicyNV";
    NV_READ = 0x14e "NV_Read";
    CREATE = 0x153 "Create";
    LOAD = 0x157 "Load";
    UNSEAL = 0x15e "Unseal";
    FLUSH_CONTEXT = 0x165 "FlushContext";
    LOAD_EXTERNAL = 0x167 "LoadExternal";
    NV_READ_PUBLIC = 0x169 "NV_ReadPublic";
    POLICY_AUTHORIZE = 0x16a "PolicyAuthorize";
    POLICY_COMMAND_CODE = 0x16c "PolicyCommandCode";
    READ_PUBLIC = 0x173 "ReadPublic";
    START_AUTH_SESSION = 0x176 "StartAuthSession";
    VERIFY_SIGNATURE = 0x177 "VerifySignature";
    GET_CAPABILITY = 0x17a "GetCapability";
    PCR_READ = 0x17e "PCR_Read";
    POLICY_PCR = 0x17f "PolicyPCR";
    READ_CLOCK = 0x181 "ReadClock";
}

/// What a TPM answered instead of success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResponseCode(u32);

impl ResponseCode {
    /// `TPM_RC_AUTH_FAIL`: wrong authorisation, and it counts as a guess.
    pub const AUTH_FAIL: Self = Self(0x08e);
    /// `TPM_RC_BAD_AUTH`: wrong authorisation, and it does not count.
    pub const BAD_AUTH: Self = Self(0x0a2);
    /// `TPM_RC_HANDLE`: no such object.
    pub const HANDLE: Self = Self(0x08b);
    /// `TPM_RC_INTEGRITY`: a blob of another TPM, or changed.
    pub const INTEGRITY: Self = Self(0x09f);
    /// `TPM_RC_SIGNATURE`: the signature is not the key's.
    pub const SIGNATURE: Self = Self(0x09b);
    /// `TPM_RC_POLICY_FAIL`: another policy than the object's.
    pub const POLICY_FAIL: Self = Self(0x09d);
    /// `TPM_RC_VALUE`.
    pub const VALUE: Self = Self(0x084);
    /// `TPM_RC_POLICY`: a comparison of a policy is false.
    pub const POLICY: Self = Self(0x126);
    /// `TPM_RC_PCR_CHANGED`: a PCR changed since the policy looked.
    pub const PCR_CHANGED: Self = Self(0x128);
    /// `TPM_RC_NV_UNINITIALIZED`: an index that was never written.
    pub const NV_UNINITIALIZED: Self = Self(0x14a);
    /// `TPM_RC_NV_SPACE`: no room for an index.
    pub const NV_SPACE: Self = Self(0x14b);
    /// `TPM_RC_LOCKOUT`: too many wrong guesses.
    pub const LOCKOUT: Self = Self(0x921);
    /// `TPM_RC_NV_RATE`: writes come too fast.
    pub const NV_RATE: Self = Self(0x920);
    /// `TPM_RC_RETRY`: not now.
    pub const RETRY: Self = Self(0x922);
    /// `TPM_RC_YIELDED`: not now.
    pub const YIELDED: Self = Self(0x908);
    /// `TPM_RC_TESTING`: not while it tests itself.
    pub const TESTING: Self = Self(0x90a);

    pub(crate) const SUCCESS: u32 = 0;

    pub(crate) const fn from_wire(code: u32) -> Self {
        Self(code)
    }

    /// The number as the TPM gave it.
    #[must_use]
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The reason alone: without the parameter, handle or session that it is about.
    #[must_use]
    pub const fn reason(self) -> Self {
        if self.0 & 0x80 != 0 {
            Self(self.0 & 0xbf)
        } else {
            self
        }
    }

    /// Whether sending the same again may help.
    pub(crate) fn transient(self) -> bool {
        matches!(
            self,
            Self::RETRY | Self::YIELDED | Self::TESTING | Self::NV_RATE
        )
    }

    fn name(self) -> Option<&'static str> {
        Some(match self.reason() {
            Self::AUTH_FAIL | Self::BAD_AUTH => "wrong authorisation",
            Self::HANDLE => "no such object",
            Self::INTEGRITY => "not made by this TPM, or changed",
            Self::SIGNATURE => "the signature is not the key's",
            Self::POLICY_FAIL | Self::POLICY => "the policy is not met",
            Self::VALUE => "a value is out of range",
            Self::PCR_CHANGED => "a PCR changed meanwhile",
            Self::NV_UNINITIALIZED => "never written",
            Self::NV_SPACE => "no room",
            Self::LOCKOUT => "locked after wrong guesses",
            _ if self.transient() => "busy",
            _ => return None,
        })
    }
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(formatter, "{name} ({:#05x})", self.0),
            None => write!(formatter, "{:#05x}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_is_told_from_what_it_is_about() {
        // Parameter 1, handle 1, session 1.
        assert_eq!(ResponseCode(0x1df).reason(), ResponseCode::INTEGRITY);
        assert_eq!(ResponseCode(0x18b).reason(), ResponseCode::HANDLE);
        assert_eq!(ResponseCode(0x98e).reason(), ResponseCode::AUTH_FAIL);
        assert_eq!(ResponseCode(0x9a2).reason(), ResponseCode::BAD_AUTH);
        assert_eq!(ResponseCode(0x921).reason(), ResponseCode::LOCKOUT);
        assert_eq!(ResponseCode(0x126).reason(), ResponseCode::POLICY);
    }
}
