//! Finding the Core among whatever disks there are.

use std::{thread::sleep, time::Duration};

use bastide_boot::{ROOT_X86_64, RefusedCandidate};
use bastide_disk::{Backoff, Partition, Scan, scan};
use uuid::Uuid;

use crate::{
    candidate::{Probe, Verified, Wanted, verify},
    console::say,
    refusal::Refusal,
};

/// How long disks may take to appear: NVMe and USB do after the kernel has started us.
const PATIENCE: Duration = Duration::from_secs(10);

/// Most refusals that are kept for the report; a disk can hold a thousand look-alikes.
const MOST_KEPT: usize = 32;

/// The Core, and what was tried before it.
#[derive(Debug)]
pub struct Found {
    /// The mounted Core.
    pub core: Verified,
    /// The partition that holds it.
    pub partition: Partition,
    /// What claimed to be it and was not.
    pub refused: Vec<RefusedCandidate>,
}

/// Tries every partition that claims to be the Core until one is. A candidate that is
/// refused only costs time: disks that anyone may plug in must not keep the right one
/// from booting, whatever their order.
pub fn find(wanted: &Wanted, boot_partition: Option<Uuid>) -> Result<Found, Refusal> {
    let mut search = Search::default();
    let mut pauses = Backoff::new(PATIENCE);
    loop {
        let scan = scan().map_err(|error| Refusal::of_bundle("disks", &error.into()))?;
        let candidates = candidates(&scan, wanted.root_hash.partition_uuid(), boot_partition);
        let probe = match candidates.len() {
            0 | 1 => Probe::Start,
            _ => Probe::Everything,
        };
        for partition in candidates {
            if !search.is_new(&partition) {
                continue;
            }
            match verify(wanted, &partition, probe) {
                Ok(core) => {
                    return Ok(Found {
                        core,
                        partition,
                        refused: search.refused,
                    });
                }
                Err(error) => search.refuse(&partition, format!("{error:#}")),
            }
        }
        let Some(pause) = pauses.next() else {
            return Err(search.nothing(wanted, scan));
        };
        sleep(pause);
    }
}

/// Partitions of the right type and identity, those on the disk we were started from
/// first: that one is most likely the right one.
fn candidates(scan: &Scan, uuid: Uuid, boot_partition: Option<Uuid>) -> Vec<Partition> {
    let boot_disks: Vec<&str> = scan
        .partitions
        .iter()
        .filter(|partition| Some(partition.uuid) == boot_partition)
        .map(|partition| partition.disk.as_str())
        .collect();
    let mut candidates: Vec<Partition> = scan
        .partitions
        .iter()
        .filter(|partition| partition.kind == ROOT_X86_64 && partition.uuid == uuid)
        .cloned()
        .collect();
    candidates.sort_by_key(|partition| !boot_disks.contains(&partition.disk.as_str()));
    candidates
}

#[derive(Debug, Default)]
struct Search {
    /// Name and disk of what was tried; another disk of the same name is another.
    tried: Vec<(String, u64)>,
    refused: Vec<RefusedCandidate>,
}

impl Search {
    fn is_new(&mut self, partition: &Partition) -> bool {
        let identity = (partition.name.clone(), partition.disk_sequence);
        let new = !self.tried.contains(&identity);
        if new {
            self.tried.push(identity);
        }
        new
    }

    fn refuse(&mut self, partition: &Partition, reason: String) {
        say(&format!("candidate {} refused: {reason}", partition.name));
        self.keep(partition, reason);
    }

    fn keep(&mut self, partition: &Partition, reason: String) {
        if self.refused.len() < MOST_KEPT {
            self.refused.push(RefusedCandidate {
                device: partition.name.clone(),
                reason,
            });
        }
    }

    fn nothing(&self, wanted: &Wanted, scan: Scan) -> Refusal {
        let what = format!("no partition holds core {}", wanted.root_hash.short());
        let uuid = wanted.root_hash.partition_uuid();
        if self.refused.is_empty() {
            let mut why = match &scan.disks[..] {
                [] => "there is no disk".to_owned(),
                disks => format!("no partition {uuid} on {}", disks.join(", ")),
            };
            for (disk, error) in scan.unreadable {
                why.push_str(&format!(", {disk}: {:#}", anyhow::Error::new(error)));
            }
            return Refusal::new(
                &what,
                &why,
                "attach the disk that Bastide was installed on, or reinstall",
            );
        }
        let reasons: Vec<String> = self
            .refused
            .iter()
            .map(|refused| format!("{}: {}", refused.device, refused.reason))
            .collect();
        Refusal::new(
            &what,
            &format!("partition {uuid}: {}", reasons.join(", ")),
            "boot another version or reinstall; the disk is damaged or was tampered with",
        )
    }
}

#[cfg(test)]
mod tests {
    use bastide_disk::DeviceNumber;

    use super::*;

    const CORE: Uuid = Uuid::from_u128(1);
    const BOOT: Uuid = Uuid::from_u128(2);

    fn partition(name: &str, kind: Uuid, uuid: Uuid) -> Partition {
        Partition {
            name: name.to_owned(),
            disk: name[..3].to_owned(),
            disk_sequence: 1,
            number: DeviceNumber {
                major: 254,
                minor: 0,
            },
            kind,
            uuid,
            label: String::new(),
            size: 4096,
        }
    }

    fn names(scan: &Scan, boot_partition: Option<Uuid>) -> Vec<String> {
        candidates(scan, CORE, boot_partition)
            .into_iter()
            .map(|partition| partition.name)
            .collect()
    }

    #[test]
    fn type_and_identity_must_both_fit() {
        let other = Uuid::from_u128(9);
        let scan = Scan {
            partitions: vec![
                partition("vda1", other, CORE),
                partition("vda2", ROOT_X86_64, other),
                partition("vda3", ROOT_X86_64, CORE),
            ],
            ..Scan::default()
        };
        assert_eq!(names(&scan, None), ["vda3"]);
    }

    #[test]
    fn the_disk_we_were_started_from_comes_first() {
        let scan = Scan {
            partitions: vec![
                partition("vda2", ROOT_X86_64, CORE),
                partition("vdb1", Uuid::nil(), BOOT),
                partition("vdb2", ROOT_X86_64, CORE),
            ],
            ..Scan::default()
        };
        assert_eq!(names(&scan, None), ["vda2", "vdb2"]);
        assert_eq!(names(&scan, Some(BOOT)), ["vdb2", "vda2"]);
        assert_eq!(names(&scan, Some(Uuid::from_u128(7))), ["vda2", "vdb2"]);
    }

    #[test]
    fn a_candidate_is_tried_once_and_another_disk_of_its_name_again() {
        let mut search = Search::default();
        let mut candidate = partition("vdb2", ROOT_X86_64, CORE);
        assert!(search.is_new(&candidate));
        assert!(!search.is_new(&candidate));
        candidate.disk_sequence = 2;
        assert!(search.is_new(&candidate));
    }

    #[test]
    fn a_thousand_look_alikes_still_fit_the_report() {
        let mut search = Search::default();
        for _ in 0..1000 {
            let candidate = partition("vdb2", ROOT_X86_64, CORE);
            search.keep(&candidate, "blocks corrupted beyond repair".to_owned());
        }
        assert_eq!(search.refused.len(), MOST_KEPT);
    }
}
