//! Reading files whose length is not to be believed.

use std::{fs::File, io::Read, path::Path};

use anyhow::{Context, Result, ensure};

/// Reads a whole file of at most `longest` bytes.
pub fn read_bounded(path: &Path, longest: usize) -> Result<Vec<u8>> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut bytes = Vec::new();
    file.take(longest as u64 + 1)
        .read_to_end(&mut bytes)
        .with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        bytes.len() <= longest,
        "{} has more than {longest} bytes",
        path.display()
    );
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endless_files_are_refused() {
        assert!(read_bounded(Path::new("/dev/zero"), 4096).is_err());
        assert!(read_bounded(Path::new("/dev/null"), 0).unwrap().is_empty());
    }
}
