//! Going on with what is on the disk.

use std::collections::{BTreeMap, VecDeque};

use anyhow::{Context, Result};
use bastide_log_format::chain::Chain;
use bastide_log_format::digest::Digest;
use bastide_log_format::entry::Priority;
use bastide_log_format::ledger::{Pin, Says, Start};
use bastide_log_format::name::{BOOTS, FileName, StreamName, boot_file};
use bastide_log_format::record::Stamp;

use crate::anchor::Anchor;
use crate::disk::{Disk, Listed};
use crate::ledger::{Keys, Ledger};
use crate::resume::{Left, LeftLedger, left};
use crate::secret::{Secret, new_seed};
use crate::settings::Settings;
use crate::stream::Stream;

use super::{Kept, OTHERS, OWN, Store, room, status};

impl<Medium: Disk> Store<Medium> {
    /// Goes on with the log on the disk, or begins one.
    ///
    /// # Errors
    /// When the disk cannot be read, or the ledger not be written.
    pub fn open(
        disk: Medium,
        settings: Settings,
        secret: Option<Secret>,
        anchor: Option<Box<dyn Anchor>>,
        stamp: Stamp,
    ) -> Result<Self> {
        let mut listed = disk.list().context("cannot list the log's files")?;
        listed.sort_by(|one, other| (&one.0, one.1).cmp(&(&other.0, other.1)));
        let mut files: BTreeMap<StreamName, VecDeque<Kept>> = BTreeMap::new();
        for (stream, name, size) in &listed {
            let kept = Kept {
                name: *name,
                size: *size,
            };
            files.entry(stream.clone()).or_default().push_back(kept);
        }
        let mut streams = BTreeMap::new();
        let mut kernel_sequence = None;
        let mut torn = Vec::new();
        let ledger_left = left_of(&disk, &StreamName::ledger(), &listed)?;
        let same_boot = secret.as_ref().is_some_and(|secret| {
            ledger_left
                .ledger
                .as_ref()
                .is_some_and(|ledger| is_of(ledger, secret))
        });
        for name in files.keys().filter(|name| !name.is_ledger()) {
            let left = left_of(&disk, name, &listed)?;
            if left.torn {
                torn.push(name.to_string());
            }
            if same_boot && name.as_str() == "kernel" {
                kernel_sequence = left.kernel_sequence;
            }
            if same_boot {
                sync_newest(&disk, name, &files)?;
            }
            let (seq, head) = left.last.unwrap_or((0, Digest::genesis(name)));
            let chain = Chain::resume(name.clone(), seq, head);
            streams.insert(name.clone(), Stream::new(chain, left.part, &settings));
        }
        let pins: Vec<Pin> = streams
            .values()
            .map(|stream: &Stream| stream.chain.pin())
            .collect();
        let begun = begin_ledger(&disk, secret, &ledger_left, same_boot, pins.clone(), stamp)?;
        let boot = begun.boot;
        let mut store = Self {
            disk,
            settings,
            boot,
            ledger: begun.ledger,
            anchor,
            streams,
            files,
            words: Vec::new(),
            own: StreamName::new(OWN)?,
            others: StreamName::new(OTHERS)?,
            kernel_sequence,
            anchored_at: stamp.boottime,
            anchor_failed: false,
            grave: false,
            early: (stamp.boottime, 0),
            looked_at: stamp.boottime,
            held: false,
            tide: room::Tide::default(),
            removals: Vec::new(),
            reserve: room::Reserve::default(),
            facts: status::Facts::default(),
        };
        if !begun.resumed {
            let kept = Kept {
                name: store.ledger.name(),
                size: 0,
            };
            store
                .files
                .entry(StreamName::ledger())
                .or_default()
                .push_back(kept);
        }
        for (priority, words) in begun.words {
            store.remark(priority, words);
        }
        if !torn.is_empty() {
            let words = format!("a crash cut the last line of: {}", torn.join(", "));
            store.remark(Priority::NOTICE, words);
        }
        if let Some(says) = begun.says {
            store.write_ledger(stamp, says)?;
        } else {
            store.write_ledger(stamp, Says::Restart {})?;
            store.write_ledger(stamp, Says::Pin { pins })?;
        }
        // Its log now carries the certificate itself.
        if let Some(name) = begun.certificate
            && let Err(error) = store.disk.remove_certificate(&name)
        {
            let words = format!("cannot remove {BOOTS}/{name}: {error}");
            store.remark(Priority::WARNING, words);
        }
        if !begun.resumed {
            store.anchor(stamp);
        }
        store.restore_reserve(stamp);
        store.look_at_disk();
        Ok(store)
    }
}

struct Begun {
    ledger: Ledger,
    boot: u64,
    resumed: bool,
    /// The file of the certificate that the ledger carries.
    certificate: Option<String>,
    /// The first record of a boot.
    says: Option<Says>,
    words: Vec<(Priority, String)>,
}

fn begin_ledger(
    disk: &impl Disk,
    secret: Option<Secret>,
    left: &Left,
    same_boot: bool,
    pins: Vec<Pin>,
    stamp: Stamp,
) -> Result<Begun> {
    let name = StreamName::ledger();
    let mut words = Vec::new();
    let (seq, head) = left.last.unwrap_or((0, Digest::genesis(&name)));
    let chain = Chain::resume(name.clone(), seq, head);
    let before = left.ledger.as_ref().map_or(0, |ledger| ledger.boot);
    let mut keys = None;
    let mut certificate_file = None;
    let mut boot = before.saturating_add(1);
    if let Some(mut secret) = secret {
        boot = secret.boot();
        let goes_on = match &left.ledger {
            Some(ledger) if same_boot => secret.settle(&ledger.next)?,
            _ => true,
        };
        if goes_on {
            let claim = secret.certificate().unverified();
            certificate_file = Some(boot_file(claim.epoch, claim.boot));
            keys = Some(Keys::Certified(Box::new(secret)));
        } else {
            words.push((
                Priority::CRITICAL,
                "the key to go on with is lost: the rest of this boot's log is sealed with one that nobody certifies".to_owned(),
            ));
        }
    } else {
        words.push((
            Priority::CRITICAL,
            "there is no seal file: this boot's log is sealed with a key that nobody certifies"
                .to_owned(),
        ));
    }
    if let (Some(ledger), Some(Keys::Certified(_))) = (&left.ledger, &keys)
        && same_boot
        && let Some(keys) = keys.take()
    {
        let file = disk
            .reopen(&name, ledger.file)
            .context("cannot go on with the ledger")?;
        if left.torn {
            file.set_len(left.size)
                .context("cannot cut what a crash left of a record")?;
        }
        words.push((
            Priority::WARNING,
            "the log was started again within a boot".to_owned(),
        ));
        return Ok(Begun {
            ledger: Ledger::new(chain, keys, boot, file, ledger.file, left.size),
            boot,
            resumed: true,
            certificate: certificate_file,
            says: None,
            words,
        });
    }
    let part = left.part.saturating_add(1);
    let file_name = FileName { part, boot };
    let file = disk
        .create(&name, file_name)
        .context("cannot begin the ledger")?;
    let (keys, certificate) = match keys {
        Some(Keys::Certified(secret)) => {
            let certificate = secret.certificate().to_hex();
            (Keys::Certified(secret), Some(certificate))
        }
        _ => (Keys::Own(new_seed()?), None),
    };
    let start = Start {
        certificate,
        key: keys.seed().public(),
        part,
        previous: chain.head(),
        pins,
    };
    let seconds = stamp.boottime / 1_000_000;
    words.push((
        Priority::NOTICE,
        format!("the log of boot {boot} begins, {seconds} s after the kernel"),
    ));
    Ok(Begun {
        ledger: Ledger::new(chain, keys, boot, file, file_name, 0),
        boot,
        resumed: false,
        certificate: certificate_file,
        says: Some(Says::Start(start)),
        words,
    })
}

/// Whether the ledger was left in the boot of this secret. The number alone does not
/// tell: it comes again with another TPM.
fn is_of(ledger: &LeftLedger, secret: &Secret) -> bool {
    ledger.certificate.as_ref() == Some(&secret.certificate().to_hex())
}

fn left_of(disk: &impl Disk, name: &StreamName, listed: &[Listed]) -> Result<Left> {
    let files: Vec<&Listed> = listed.iter().filter(|file| file.0 == *name).collect();
    left(disk, name, &files).with_context(|| format!("cannot read where {name} was left"))
}

/// What an earlier process of this boot wrote may not be on the disk yet; the ledger is
/// about to rely on it.
fn sync_newest(
    disk: &impl Disk,
    name: &StreamName,
    files: &BTreeMap<StreamName, VecDeque<Kept>>,
) -> Result<()> {
    if let Some(newest) = files.get(name).and_then(VecDeque::back) {
        let file = disk.reopen(name, newest.name)?;
        file.sync_data()
            .with_context(|| format!("cannot sync {name}"))?;
    }
    Ok(())
}
