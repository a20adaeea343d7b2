//! The variable in which the initramfs leaves why it refused to boot.

use uuid::uuid;

use crate::VariableName;

/// Where the reason of the last refusal is kept.
pub const FAILURE_VARIABLE: VariableName = VariableName {
    name: "BastideLastFailure",
    vendor: uuid!("11ce9c1e-c432-42f5-8362-808ec8d9cfc3"),
};

/// Longest reason, in bytes: variables live in small flash memory.
pub const LONGEST_FAILURE: usize = 400;

/// A reason as data of [`FAILURE_VARIABLE`]: UTF-8, on one line, cut to
/// [`LONGEST_FAILURE`] bytes at a character's end.
pub fn encode_failure(reason: &str) -> Vec<u8> {
    let mut text = one_line(reason);
    while text.len() > LONGEST_FAILURE {
        text.pop();
    }
    text.into_bytes()
}

/// A reason from data of [`FAILURE_VARIABLE`], made fit to show: anyone with the
/// firmware's menu could have written it.
pub fn decode_failure(data: &[u8]) -> String {
    let bounded = &data[..data.len().min(LONGEST_FAILURE)];
    one_line(&String::from_utf8_lossy(bounded))
}

fn one_line(text: &str) -> String {
    let shown: String = text
        .chars()
        .map(|character| match character {
            control if control.is_control() => ' ',
            other => other,
        })
        .collect();
    shown.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_survive_a_round_trip() {
        let reason = "no partition holds core 0e0e (déjà vu); reinstall";
        assert_eq!(decode_failure(&encode_failure(reason)), reason);
    }

    #[test]
    fn long_reasons_are_cut_at_a_character() {
        let encoded = encode_failure(&format!("a{}", "é".repeat(400)));
        assert_eq!(encoded.len(), LONGEST_FAILURE - 1);
        assert!(std::str::from_utf8(&encoded).is_ok());
    }

    #[test]
    fn hostile_data_cannot_steer_a_terminal() {
        assert_eq!(decode_failure(b"\x1b[2Jgood\r\nnews\0"), "[2Jgood  news");
        assert_eq!(decode_failure(&[0xff, 0xfe]), "\u{fffd}\u{fffd}");
        assert!(decode_failure(&[b'a'; 5000]).len() <= LONGEST_FAILURE);
    }
}
