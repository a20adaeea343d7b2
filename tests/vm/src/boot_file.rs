//! UEFI programs seen as an attacker's editor sees them: bytes at offsets.

use std::ops::Range;

use anyhow::{Context, Result};
use object::read::pe::PeFile64;
use object::{Object, ObjectSection};

/// Where the content of `section` lies in the file.
pub fn section(program: &[u8], section: &str) -> Result<Range<usize>> {
    let file = PeFile64::parse(program).context("the boot file is no UEFI program")?;
    let found = file
        .section_by_name(section)
        .with_context(|| format!("the boot file has no section {section}"))?;
    let (start, length) = found
        .file_range()
        .with_context(|| format!("section {section} has no content"))?;
    // The file's share is padded; what the program sees ends at the virtual size.
    let length = length.min(found.size());
    let range = usize::try_from(start)?..usize::try_from(start + length)?;
    program
        .get(range.clone())
        .context("the section ends beyond the file")?;
    Ok(range)
}

/// The file with one bit of the middle of `name` turned over.
pub fn with_flipped_bit(program: &[u8], name: &str) -> Result<Vec<u8>> {
    let range = section(program, name)?;
    let mut changed = program.to_vec();
    changed[range.start + range.len() / 2] ^= 0x01;
    Ok(changed)
}

/// The file with every `from` of a section replaced by `to`, which has its length.
pub fn with_replaced(program: &[u8], name: &str, from: &str, to: &str) -> Result<Vec<u8>> {
    anyhow::ensure!(
        from.len() == to.len(),
        "the replacement must have the same length"
    );
    let range = section(program, name)?;
    let mut changed = program.to_vec();
    let content = &mut changed[range];
    let position = content
        .windows(from.len())
        .position(|window| window == from.as_bytes())
        .with_context(|| format!("section {name} does not hold {from}"))?;
    content[position..position + to.len()].copy_from_slice(to.as_bytes());
    Ok(changed)
}
