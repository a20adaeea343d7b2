//! What the release `later` reports at each start: how its log verifies.

use anyhow::{Context, Result};
use bastide_vm::Machine;
use serde_json::Value;

use crate::bench::PATIENCE;
use crate::hostile::{Outcome, outcomes, said};

/// The service that has the log verified, and what it calls.
const SERVICE: &str = "hostile-auditor";
const CALL: &str = "call=org.bastide.Log.Verify";

/// What the log says of itself.
#[derive(Debug)]
pub struct Verdict {
    outcome: Outcome,
    /// Its answer in full.
    pub answer: String,
}

impl Verdict {
    /// Waits for it. The machine needs its second serial line.
    pub fn read(machine: &Machine) -> Result<Self> {
        let line = machine.second_line();
        let tried = outcomes(line, SERVICE, PATIENCE)?;
        let outcome = tried.get(CALL).context("the log was not asked")?.clone();
        let answer = said(line, SERVICE, CALL, PATIENCE)?;
        Ok(Self { outcome, answer })
    }

    /// Whether the log was asked and found nothing wrong.
    pub fn is_intact(&self) -> bool {
        self.outcome == Outcome::Succeeded && says_intact(&self.answer)
    }
}

/// Whether an answer, JSON behind a word, says that nothing is wrong.
fn says_intact(answer: &str) -> bool {
    let value: Option<Value> = answer
        .strip_prefix("answers ")
        .and_then(|text| serde_json::from_str(text).ok());
    value.is_some_and(|value| value["parameters"]["intact"].as_bool() == Some(true))
}

#[cfg(test)]
mod tests {
    use super::says_intact;

    #[test]
    fn only_a_clear_answer_is_intact() {
        assert!(says_intact(r#"answers {"parameters":{"intact":true}}"#));
        for other in [
            r#"answers {"parameters":{"intact":false}}"#,
            r#"answers {"error":"org.bastide.Log.Damaged","parameters":{}}"#,
            r#"answers {"parameters":{}}"#,
            "SUCCEEDED",
            "",
        ] {
            assert!(!says_intact(other), "{other}");
        }
    }
}
