//! The command line the kernel was given must be the one that was signed.
//!
//! Boot loader, firmware settings and virtual machines can all add words to it; the
//! signature over the kernel bundle covers only what the bundle holds.

use std::path::Path;

use anyhow::Result;
use bastide_boot::{CommandLine, LONGEST_COMMAND_LINE};

use crate::{files::read_bounded, refusal::Refusal};

const GIVEN: &str = "/proc/cmdline";
const SIGNED: &str = "/cmdline";

/// Reads the signed command line.
pub fn signed() -> Result<(Vec<u8>, CommandLine)> {
    let line = read(SIGNED)?;
    let parsed = CommandLine::parse(&line)?;
    Ok((line, parsed))
}

/// Refuses unless the kernel was given the signed command line, to the byte.
pub fn check_given(signed: &[u8]) -> Result<(), Refusal> {
    let advice = "switch the machine off and remove what adds to it, such as an edited boot menu or \
                  a setting of the virtual machine";
    let given =
        read(GIVEN).map_err(|error| Refusal::new("command line", &format!("{error:#}"), advice))?;
    match difference(&given, signed) {
        None => Ok(()),
        Some(why) => Err(Refusal::new("command line", &why, advice)),
    }
}

fn read(path: &str) -> Result<Vec<u8>> {
    // One more byte for the end of the line.
    read_bounded(Path::new(path), LONGEST_COMMAND_LINE + 1)
}

/// Says how a command line differs from the signed one; the end of the line does not
/// count.
fn difference(given: &[u8], signed: &[u8]) -> Option<String> {
    let given = given.trim_ascii_end();
    let signed = signed.trim_ascii_end();
    if given == signed {
        return None;
    }
    let words = |line: &[u8]| -> Vec<Vec<u8>> {
        line.split(|byte| *byte == b' ')
            .filter(|word| !word.is_empty())
            .map(<[u8]>::to_vec)
            .collect()
    };
    let (given, signed) = (words(given), words(signed));
    let position = given
        .iter()
        .zip(&signed)
        .take_while(|(a, b)| a == b)
        .count();
    let show = |word: &Vec<u8>| {
        word.escape_ascii()
            .take(80)
            .map(char::from)
            .collect::<String>()
    };
    Some(match (given.get(position), signed.get(position)) {
        (Some(given), None) => format!("\"{}\" was added to the signed one", show(given)),
        (None, Some(signed)) => format!("signed \"{}\" is missing", show(signed)),
        (Some(given), Some(signed)) => {
            format!(
                "\"{}\" stands where \"{}\" was signed",
                show(given),
                show(signed)
            )
        }
        (None, None) => "its spaces differ from the signed one".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_end_of_the_line_may_differ() {
        assert_eq!(difference(b"a b=c\n", b"a b=c"), None);
        assert_eq!(difference(b"a b=c", b"a b=c \n"), None);
        for given in [
            &b"a b=c x"[..],
            b"x a b=c",
            b"a",
            b"",
            b"a  b=c",
            b" a b=c",
            b"a b=C",
            b"a b=c\0",
            b"a\tb=c",
        ] {
            assert!(difference(given, b"a b=c").is_some(), "{given:?}");
        }
    }

    #[test]
    fn differences_are_named_and_harmless_to_show() {
        let why = |given: &[u8]| difference(given, b"quiet loglevel=4").unwrap();
        assert_eq!(
            why(b"quiet loglevel=4 init=/bin/sh"),
            "\"init=/bin/sh\" was added to the signed one"
        );
        assert_eq!(why(b"quiet"), "signed \"loglevel=4\" is missing");
        assert_eq!(
            why(b"quiet \x1b[2J"),
            "\"\\x1b[2J\" stands where \"loglevel=4\" was signed"
        );
        assert_eq!(
            why(b"quiet  loglevel=4"),
            "its spaces differ from the signed one"
        );
        assert!(why(&[b'x'; 2000]).len() < 200);
    }
}
