//! Authorisation values.

use std::fmt;

use bastide_tpm_policy::Secret;
use zeroize::Zeroizing;

/// The authorisation value of a hierarchy or index. Wiped when dropped; printing shows
/// nothing.
#[derive(Clone)]
pub struct Auth(Zeroizing<Vec<u8>>);

impl Auth {
    /// The value of what nobody has taken yet, or everybody may use.
    #[must_use]
    pub fn empty() -> Self {
        Self(Zeroizing::new(Vec::new()))
    }

    /// The value that is this secret.
    #[must_use]
    pub fn from_secret(secret: &Secret) -> Self {
        // A TPM drops zeroes at the end (part 1, 19.6.5), and keys are made with what is
        // left.
        let bytes = secret.expose();
        let end = bytes
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        Self(Zeroizing::new(bytes[..end].to_vec()))
    }

    pub(crate) fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Auth")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeroes_at_the_end_are_dropped_as_the_tpm_does() {
        let mut bytes = [7; 32];
        bytes[31] = 0;
        assert_eq!(Auth::from_secret(&Secret::new(bytes)).expose(), [7; 31]);
        assert!(Auth::from_secret(&Secret::new([0; 32])).expose().is_empty());
    }
}
