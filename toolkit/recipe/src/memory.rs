//! How much memory a build holds.

use std::collections::HashMap;
use std::fs;

/// Resident memory of all descendants of a process together, in bytes. Pages that
/// several share count for each, so this errs upwards.
pub(crate) fn of_descendants(root: u32) -> u64 {
    let Ok(entries) = fs::read_dir("/proc") else {
        return 0;
    };
    let processes = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|process| {
            let stat = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
            let (parent, pages) = parse(&stat)?;
            Some((process, (parent, pages)))
        })
        .collect::<HashMap<_, _>>();
    let page = rustix::param::page_size() as u64;
    processes
        .keys()
        .filter(|process| descends(**process, root, &processes))
        .map(|process| processes[process].1 * page)
        .sum()
}

fn descends(mut process: u32, root: u32, processes: &HashMap<u32, (u32, u64)>) -> bool {
    // Process numbers may be reused between two reads: no more steps than processes.
    for _ in 0..processes.len() {
        if process == root {
            return true;
        }
        match processes.get(&process) {
            Some((parent, _)) => process = *parent,
            None => return false,
        }
    }
    false
}

/// Parent and resident pages from proc_pid_stat(5); the name before them may hold
/// anything, parentheses included.
fn parse(stat: &str) -> Option<(u32, u64)> {
    let fields = stat[stat.rfind(')')? + 1..]
        .split_whitespace()
        .collect::<Vec<_>>();
    Some((fields.get(1)?.parse().ok()?, fields.get(21)?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_does_not_confuse() {
        let numbers = (0..30).map(|n| n.to_string()).collect::<Vec<_>>().join(" ");
        assert_eq!(parse(&format!("7 (a) S) S {numbers}")), Some((0, 20)));
        assert_eq!(parse("garbage"), None);
    }

    #[test]
    fn children_and_their_children_count() {
        let processes = HashMap::from([(1, (0, 1)), (2, (1, 1)), (3, (2, 1)), (4, (1, 1))]);
        assert!(descends(3, 2, &processes));
        assert!(!descends(4, 2, &processes));
    }
}
