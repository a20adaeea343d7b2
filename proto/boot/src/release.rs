//! The number of a release, by which the machine tells older from newer.

/// Why a version has no release number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("version {0} does not begin with three numbers below 1000, such as 1.2.3")]
pub struct ReleaseError(String);

/// The number of the release with this version: `1.2.3` has 1002003. What follows the
/// three numbers (`~rc1`, `+instrumented`) does not count.
///
/// # Errors
/// The version does not begin with three numbers below 1000, joined by dots.
pub fn release_number(version: &str) -> Result<u64, ReleaseError> {
    let refused = || ReleaseError(version.to_owned());
    let end = version
        .find(|letter: char| !letter.is_ascii_digit() && letter != '.')
        .unwrap_or(version.len());
    let mut parts = version[..end].split('.');
    let mut number = 0;
    for _ in 0..3 {
        let part = parts.next().ok_or_else(refused)?;
        let part: u64 = part.parse().map_err(|_| refused())?;
        if part >= 1000 {
            return Err(refused());
        }
        number = number * 1000 + part;
    }
    match parts.next() {
        None => Ok(number),
        Some(_) => Err(refused()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_versions_have_larger_numbers() {
        assert_eq!(release_number("0.1.0"), Ok(1_000));
        assert_eq!(release_number("1.2.3"), Ok(1_002_003));
        assert_eq!(release_number("1.2.3~rc1"), Ok(1_002_003));
        assert_eq!(release_number("999.999.999"), Ok(999_999_999));
    }

    #[test]
    fn other_versions_are_refused() {
        for version in [
            "", "1", "1.2", "1.2.x", "1.2.1000", "1.2.3.4", "1..3", "-1.2.3", "1.2.+3",
        ] {
            assert!(release_number(version).is_err(), "{version}");
        }
    }
}
