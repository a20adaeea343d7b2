//! Lines for people, by way of the kernel's log: it shows them on every console
//! and keeps them for whoever reads it later.

use std::fs::File;
use std::io::Write;

use crate::supervisor::Level;

const DEVICE: &str = "/dev/kmsg";

/// The longest line, in bytes: the kernel refuses records above 1024.
const LONGEST: usize = 900;

/// Says a line in the name of Bastide.
pub fn say(level: Level, line: &str) {
    let number = level as u8;
    let line = one_line(line);
    // Opened anew each time: the kernel limits the rate of lines per descriptor.
    let said = File::options()
        .write(true)
        .open(DEVICE)
        .and_then(|mut log| log.write_all(format!("<{number}>bastide: {line}\n").as_bytes()));
    if said.is_err() {
        // Before /dev is mounted there is only the console that the kernel gave us.
        eprintln!("bastide: {line}");
    }
}

/// One line without control characters, cut to what the kernel takes.
pub fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect();
    while line.len() > LONGEST {
        line.pop();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_bounded_and_without_controls() {
        assert_eq!(one_line("a\nb\u{1b}[2Jc\u{9b}d"), "a b [2Jc d");
        let long = one_line(&"é".repeat(1000));
        assert!(long.len() <= LONGEST && long.len() > LONGEST - 3);
    }
}
