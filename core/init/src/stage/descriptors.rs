//! The descriptors that reach the program.

use std::fs;

use anyhow::{Context, Result, ensure};
use rustix::process::getpid;

/// Makes sure that the program gets its first `count` descriptors and no other one.
pub(super) fn check(count: usize) -> Result<()> {
    let folder = format!("/proc/{}/fdinfo", getpid().as_raw_nonzero());
    for entry in fs::read_dir(&folder).with_context(|| format!("cannot list {folder}"))? {
        let entry = entry?;
        let number: usize = entry
            .file_name()
            .to_string_lossy()
            .parse()
            .context("a descriptor that is no number")?;
        // The listing itself shows up in the listing, gone by the time it is read.
        let Ok(text) = fs::read_to_string(entry.path()) else {
            continue;
        };
        ensure!(
            number < count || closes_on_exec(&text),
            "descriptor {number} would reach the program"
        );
    }
    Ok(())
}

/// Reads the open flags of proc(5)'s fdinfo, in octal.
fn closes_on_exec(text: &str) -> bool {
    const CLOSE_ON_EXEC: u32 = 0o2_000_000;
    text.lines()
        .find_map(|line| line.strip_prefix("flags:"))
        .and_then(|flags| u32::from_str_radix(flags.trim(), 8).ok())
        .is_some_and(|flags| flags & CLOSE_ON_EXEC != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptors_are_told_apart() {
        assert!(closes_on_exec("pos:\t0\nflags:\t02100000\nmnt_id:\t1\n"));
        assert!(!closes_on_exec("pos:\t0\nflags:\t0100002\nmnt_id:\t1\n"));
        assert!(!closes_on_exec("pos:\t0\n"));
        assert!(!closes_on_exec("flags:\tnonsense\n"));
    }
}
