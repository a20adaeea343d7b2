//! What the running system leaves for the next boot.

use std::{fs, path::Path};

/// The number of the newest release that was seen healthy, as PID 1 wrote it down; nothing
/// where none was, or where what lies there is no number.
pub fn healthy_release(state: &Path) -> Option<u64> {
    const LONGEST: usize = 32;
    let path = state.join("lib/bastide/healthy-release");
    let text = fs::metadata(&path)
        .is_ok_and(|file| file.is_file() && file.len() <= LONGEST as u64)
        .then(|| fs::read_to_string(&path).ok())??;
    text.trim().parse().ok()
}
