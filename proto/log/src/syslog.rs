//! Messages of the syslog socket: RFC 5424, RFC 3164 and what the C library sends.
//!
//! Whatever it is, it is an entry: what is not understood stays in the message. Names,
//! processes, hosts and times in it are the sender's own claims and become fields.

use crate::entry::{LONGEST_MESSAGE, Priority, Said};
use crate::text::lossy;

/// Names of fields, as journald names them.
const IDENTIFIER: &str = "SYSLOG_IDENTIFIER";
const PROCESS: &str = "SYSLOG_PID";
const TIME: &str = "SYSLOG_TIMESTAMP";

/// A header that is longer than this is none (RFC 5424, section 6, has far shorter).
const LONGEST_WORD: usize = 255;

/// Without a priority: user.notice, as RFC 3164, section 4.3.3, says.
const WITHOUT_PRIORITY: u32 = 13;

/// Reads a message.
#[must_use]
pub fn parse(bytes: &[u8]) -> Said {
    // Room for the header before the message is cut.
    let (text, cut) = lossy(trim(bytes), LONGEST_MESSAGE * 2);
    let (number, rest, has_priority) = match priority(&text) {
        Some((number, rest)) => (number, rest, true),
        None => (WITHOUT_PRIORITY, text.as_str(), false),
    };
    let mut said = Said::new(Priority::of_syslog(number), String::new());
    said.facility = u8::try_from(number >> 3).ok();
    said.cut = cut;
    let message = match rest.strip_prefix("1 ") {
        Some(after) if has_priority => modern(after, &mut said).unwrap_or(rest),
        _ => traditional(rest, &mut said),
    };
    said.message = message.to_owned();
    said
}

/// Without the newline and NUL that libraries put at the end.
fn trim(bytes: &[u8]) -> &[u8] {
    let is_end = |byte: &u8| matches!(byte, b'\n' | b'\r' | b'\0');
    let end = bytes.iter().rposition(|byte| !is_end(byte));
    end.and_then(|end| bytes.get(..=end)).unwrap_or_default()
}

/// `<N>` with N up to 191.
fn priority(text: &str) -> Option<(u32, &str)> {
    let (number, rest) = text.strip_prefix('<')?.split_once('>')?;
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let number: u32 = number.parse().ok()?;
    (digits && number <= 191).then_some((number, rest))
}

/// RFC 5424 after the version: `TIME HOST APP PROCESS ID DATA[ MESSAGE]`. Fields only
/// become the entry's when all of it is well-formed.
fn modern<'text>(text: &'text str, said: &mut Said) -> Option<&'text str> {
    let mut rest = text;
    let mut words = Vec::new();
    for _ in 0..5 {
        let (word, after) = rest.split_once(' ')?;
        let printable = word.bytes().all(|byte| byte.is_ascii_graphic());
        if word.is_empty() || word.len() > LONGEST_WORD || !printable {
            return None;
        }
        words.push(word);
        rest = after;
    }
    let mut fields: Vec<(String, String)> = Vec::new();
    for (name, word) in [TIME, "SYSLOG_HOSTNAME", IDENTIFIER, PROCESS, "SYSLOG_MSGID"]
        .into_iter()
        .zip(words)
    {
        if word != "-" {
            fields.push((name.to_owned(), word.to_owned()));
        }
    }
    let rest = match rest.strip_prefix('-') {
        Some(rest) => rest,
        None => structured_data(rest, &mut fields)?,
    };
    let message = match rest {
        "" => "",
        rest => rest.strip_prefix(' ')?,
    };
    for (name, value) in fields {
        said.field(&name, &value);
    }
    Some(message.strip_prefix('\u{feff}').unwrap_or(message))
}

/// `[ID NAME="VALUE" ...]...`; a parameter becomes the field `ID NAME`.
fn structured_data<'text>(
    text: &'text str,
    fields: &mut Vec<(String, String)>,
) -> Option<&'text str> {
    let mut rest = text;
    let mut elements = 0_u8;
    while let Some(element) = rest.strip_prefix('[') {
        elements = elements.checked_add(1)?;
        let end = element.find([' ', ']'])?;
        let (id, mut parameters) = element.split_at(end);
        if !is_name(id) {
            return None;
        }
        while let Some(parameter) = parameters.strip_prefix(' ') {
            let (name, value) = parameter.split_once("=\"")?;
            if !is_name(name) {
                return None;
            }
            let (value, after) = quoted(value)?;
            fields.push((format!("{id} {name}"), value));
            parameters = after;
        }
        rest = parameters.strip_prefix(']')?;
    }
    (elements > 0).then_some(rest)
}

fn is_name(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'=' | b']' | b'"');
    (1..=32).contains(&text.len()) && text.bytes().all(letter)
}

/// A value up to its closing quote, with `\"`, `\\` and `\]` taken for what they mean.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((place, letter)) = letters.next() {
        match letter {
            '"' => return Some((value, text.get(place + 1..)?)),
            '\\' => match letters.next()?.1 {
                escaped @ ('"' | '\\' | ']') => value.push(escaped),
                other => value.extend(['\\', other]),
            },
            letter => value.push(letter),
        }
    }
    None
}

/// RFC 3164 as it is used locally: `[Mmm dd hh:mm:ss ][NAME[PROCESS]: ]MESSAGE`.
fn traditional<'text>(text: &'text str, said: &mut Said) -> &'text str {
    let rest = match timestamp(text) {
        Some((time, rest)) => {
            said.field(TIME, time);
            rest
        }
        None => text,
    };
    let identifier = || {
        let rest = rest.trim_start_matches(' ');
        let (word, message) = rest.split_once(':')?;
        if word.is_empty() || word.len() > LONGEST_WORD || word.contains(char::is_whitespace) {
            return None;
        }
        let message = message.strip_prefix(' ').unwrap_or(message);
        match word.strip_suffix(']').and_then(|word| word.split_once('[')) {
            Some((name, process)) if !name.is_empty() => Some((name, Some(process), message)),
            _ => Some((word, None, message)),
        }
    };
    match identifier() {
        Some((name, process, message)) => {
            said.field(IDENTIFIER, name);
            if let Some(process) = process {
                said.field(PROCESS, process);
            }
            message
        }
        None => rest,
    }
}

/// `Mmm dd hh:mm:ss ` in front of a message.
fn timestamp(text: &str) -> Option<(&str, &str)> {
    const PATTERN: &[u8; 16] = b"Aaa d0 00:00:00 ";
    let (time, rest) = text.split_at_checked(PATTERN.len())?;
    let fits = time
        .bytes()
        .zip(PATTERN)
        .all(|(byte, wanted)| match wanted {
            b'A' => byte.is_ascii_uppercase(),
            b'a' => byte.is_ascii_lowercase(),
            b'0' => byte.is_ascii_digit(),
            b'd' => byte.is_ascii_digit() || byte == b' ',
            wanted => byte == *wanted,
        });
    fits.then(|| (time.trim_end(), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field<'said>(said: &'said Said, name: &str) -> &'said str {
        said.fields.get(name).map_or("", String::as_str)
    }

    #[test]
    fn the_examples_of_the_standard_are_read() {
        let said = parse(
            "<165>1 2003-10-11T22:14:15.003Z mymachine.example.com evntslog - ID47 \
             [exampleSDID@32473 iut=\"3\" eventSource=\"Appli\\\"cation\"][x@1] \u{feff}An event"
                .as_bytes(),
        );
        assert_eq!((said.priority.number(), said.facility), (5, Some(20)));
        assert_eq!(said.message, "An event");
        assert_eq!(field(&said, IDENTIFIER), "evntslog");
        assert_eq!(field(&said, "SYSLOG_MSGID"), "ID47");
        assert_eq!(
            field(&said, "exampleSDID@32473 eventSource"),
            "Appli\"cation"
        );
        assert!(!said.fields.contains_key(PROCESS));
        let said = parse(b"<34>1 2003-10-11T22:14:15.003Z host su 42 ID47 - 'su root' failed\n");
        assert_eq!(said.message, "'su root' failed");
        assert_eq!(field(&said, PROCESS), "42");
        assert_eq!(parse(b"<34>1 - - - - - -").message, "");
    }

    #[test]
    fn what_the_c_library_sends_is_read() {
        let said = parse(b"<38>Nov  4 16:02:11 sshd[12]: Accepted: all\0");
        assert_eq!((said.priority.number(), said.facility), (6, Some(4)));
        assert_eq!(said.message, "Accepted: all");
        assert_eq!(field(&said, IDENTIFIER), "sshd");
        assert_eq!(field(&said, PROCESS), "12");
        assert_eq!(field(&said, TIME), "Nov  4 16:02:11");
        let said = parse(b"<38>tag: x");
        assert_eq!(
            (field(&said, IDENTIFIER), said.message.as_str()),
            ("tag", "x")
        );
    }

    #[test]
    fn anything_else_stays_a_message() {
        for text in [
            "no priority here",
            "<192>too high",
            "<+1>signed",
            "<5",
            "",
            "1 2003 - - - - [broken",
        ] {
            let said = parse(text.as_bytes());
            assert_eq!(said.message, text);
            assert_eq!(said.priority, Priority::NOTICE);
        }
        assert_eq!(
            parse(b"<34>1 - - - - - [a b=\"c").message,
            "1 - - - - - [a b=\"c"
        );
        assert!(parse(&vec![b'x'; 100_000]).cut);
        assert_eq!(parse(b"\xff\xfe").message, "\u{fffd}\u{fffd}");
    }
}
