//! Swap, under a key of this boot alone.

use anyhow::{Context, Result};
use bastide_disk::Partition;
use uuid::{Uuid, uuid};

/// `SD_GPT_SWAP` (Discoverable Partitions Specification).
const KIND: Uuid = uuid!("0657fd6d-a4ab-43c4-84e5-0933c84b4f4f");

/// Switches swap on, on the swap partition of the Core's disk.
///
/// # Errors
/// There is none, or the kernel refuses.
pub fn on(partitions: &[Partition]) -> Result<()> {
    let partition = partitions
        .iter()
        .find(|partition| partition.kind == KIND)
        .context("the disk has no partition for it")?;
    bastide_swap::start("swap", partition.number, partition.size)?;
    Ok(())
}
