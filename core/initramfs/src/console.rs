//! Lines for whoever watches.
//!
//! They go through the kernel's log, which shows them on every console and keeps them.

use std::{fs, io::Write};

const KERNEL_LOG: &str = "/dev/kmsg";

/// The kernel shows errors on the console even at the quiet log level that we boot
/// with, and what we say must be seen; hence every line is an "error" to it.
const SHOWN: &str = "<3>";

/// Longest line, in bytes: the kernel refuses records above 1024.
const LONGEST: usize = 900;

/// Says a line.
pub fn say(line: &str) {
    let line = format!("bastide: {}", one_line(line));
    // Opened anew each time: the kernel limits the rate of lines per descriptor.
    let said = fs::File::options()
        .write(true)
        .open(KERNEL_LOG)
        .and_then(|mut log| log.write_all(format!("{SHOWN}{line}\n").as_bytes()));
    if said.is_err() {
        // Before /dev is mounted there is only the console the kernel gave us.
        eprintln!("{line}");
    }
}

fn one_line(text: &str) -> String {
    let mut line: String = text
        .chars()
        .map(|character| match character {
            control if control.is_control() => ' ',
            other => other,
        })
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
    fn lines_are_bounded_and_have_no_controls() {
        assert_eq!(one_line("a\nb\x1b[2Jc"), "a b [2Jc");
        assert!(one_line(&"é".repeat(1000)).len() <= LONGEST);
    }
}
