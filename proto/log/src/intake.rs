//! What PID 1 passes on: one JSON message per line that a service wrote.

use serde::{Deserialize, Serialize};

use crate::entry::{Kind, LONGEST_MESSAGE, Priority, Said, Source};
use crate::name::StreamName;
use crate::text::cut;

/// The largest message, in bytes.
pub const LONGEST: usize = 64 * 1024;

/// The longest line that PID 1 passes on whole, in bytes.
pub const LONGEST_LINE: usize = LONGEST_MESSAGE;

/// A line of a service. PID 1 vouches for everything but the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// The service's name.
    pub service: StreamName,
    /// Its user.
    pub uid: u32,
    /// Its main process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pid: Option<u32>,
    /// The line without its newline; `<N>` in front is its priority (sd-daemon(3)).
    pub line: String,
    /// Whether the line was longer.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub cut: bool,
}

/// Why a message of PID 1 is refused.
#[derive(Debug, thiserror::Error)]
pub enum IntakeError {
    /// Longer than any.
    #[error("a message of PID 1 is longer than {LONGEST} bytes")]
    TooLong,
    /// No JSON, or of another structure.
    #[error("a message of PID 1 is not understood")]
    Json(#[from] serde_json::Error),
}

impl Output {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is none.
    pub fn parse(bytes: &[u8]) -> Result<Self, IntakeError> {
        if bytes.len() > LONGEST {
            return Err(IntakeError::TooLong);
        }
        Ok(serde_json::from_slice(bytes)?)
    }

    /// Writes a message; a line that is too long is cut.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        let mut output = self.clone();
        output.cut |= cut(&mut output.line, LONGEST_LINE);
        serde_json::to_vec(&output)
    }

    /// What the service said, and who it is.
    #[must_use]
    pub fn into_said(self) -> (Source, Said) {
        let source = Source {
            kind: Kind::Output,
            name: self.service.as_str().to_owned(),
            uid: Some(self.uid),
            pid: self.pid,
        };
        let prefixed = self.line.strip_prefix('<').and_then(|rest| {
            let (digit, rest) = rest.split_once('>')?;
            let number: u8 = digit.parse().ok().filter(|_| digit.len() == 1)?;
            Some((Priority::try_from(number).ok()?, rest.to_owned()))
        });
        let (priority, message) = prefixed.unwrap_or((Priority::INFORMATION, self.line));
        let mut said = Said::new(priority, message);
        said.cut = self.cut;
        (source, said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn output(line: &str) -> Output {
        Output {
            service: StreamName::new("console-serial").unwrap(),
            uid: 501,
            pid: Some(7),
            line: line.to_owned(),
            cut: false,
        }
    }

    #[test]
    fn lines_and_their_priorities_are_read() {
        for (line, priority, message) in [
            ("<3>bad", 3, "bad"),
            ("plain", 6, "plain"),
            ("<8>x", 6, "<8>x"),
            ("<+3>x", 6, "<+3>x"),
            ("<3", 6, "<3"),
            ("", 6, ""),
        ] {
            let read = Output::parse(&output(line).to_json().unwrap()).unwrap();
            let (source, said) = read.into_said();
            assert_eq!(
                (source.name.as_str(), source.uid),
                ("console-serial", Some(501))
            );
            assert_eq!(
                (said.priority.number(), said.message.as_str()),
                (priority, message)
            );
        }
    }

    #[test]
    fn what_is_too_long_or_none_is_refused() {
        let long = output(&"\u{1}".repeat(20_000)).to_json().unwrap();
        let read = Output::parse(&long).unwrap();
        assert!(read.cut && read.line.len() == LONGEST_LINE);
        assert!(Output::parse(&vec![b' '; LONGEST + 1]).is_err());
        for bytes in [
            &b"{}"[..],
            b"null",
            br#"{"service":"../x","uid":1,"line":""}"#,
            br#"{"service":"x","uid":-1,"line":""}"#,
            br#"{"service":"x","uid":1,"line":"","more":1}"#,
        ] {
            assert!(Output::parse(bytes).is_err());
        }
    }
}
