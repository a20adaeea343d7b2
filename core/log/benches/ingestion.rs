//! What an entry costs, with and without sealing, in one run and on one file system, in
//! processor time.
//!
//! `cargo bench -p bastide-log -- [FOLDER]`; the folder should be on a tmpfs, so that
//! it is the log that is measured and not the disk.
#![forbid(unsafe_code)]

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use bastide_log::anchor::Fake;
use bastide_log::clock;
use bastide_log::disk::Folder;
use bastide_log::secret::Secret;
use bastide_log::settings::Settings;
use bastide_log::store::Store;
use bastide_log_format::certificate::{Certificate, Claim};
use bastide_log_format::entry::{Kind, Source};
use bastide_log_format::epoch::Epoch;
use bastide_log_format::key::MachineKeys;
use bastide_log_format::name::StreamName;
use bastide_log_format::seal_file::SealFile;
use bastide_log_format::syslog;
use rustix::time::{ClockId, clock_gettime};

/// Entries of a run.
const ENTRIES: u32 = 100_000;

/// Entries of a turn of the loop, as a busy log has them.
const TURN: u32 = 64;

/// Runs of each kind; the middle one counts.
const RUNS: usize = 5;

fn main() -> Result<()> {
    let folder = std::env::args()
        .skip(1)
        .find(|argument| !argument.starts_with('-'));
    let folder = PathBuf::from(folder.unwrap_or_else(|| "/dev/shm".to_owned()));
    let mut figures = Vec::new();
    // In turns, so that what else the machine does falls on all alike.
    for run in 0..RUNS {
        for (kind, (name, seals, every)) in KINDS.into_iter().enumerate() {
            let place = folder.join(format!("bastide-log-{}-{run}-{kind}", std::process::id()));
            let took = measure(&place, seals, every)?;
            std::fs::remove_dir_all(&place).context("removing what was measured")?;
            figures.push((kind, name, took));
        }
    }
    let mut base = None;
    for (kind, (name, ..)) in KINDS.into_iter().enumerate() {
        let of_kind = figures.iter().filter(|figure| figure.0 == kind);
        let mut times: Vec<Duration> = of_kind.map(|figure| figure.2).collect();
        times.sort();
        let took = times[RUNS / 2].as_secs_f64();
        let entry = took * 1e6 / f64::from(ENTRIES);
        let base = *base.get_or_insert(took);
        let rate = f64::from(ENTRIES) / took;
        let ratio = took / base;
        println!("{name:32} {rate:9.0} entries/s {entry:7.2} us/entry  ratio {ratio:.3}");
    }
    Ok(())
}

/// Name, whether it seals, and after how many entries (0: each second, as in the image).
const KINDS: [(&str, bool, u32); 4] = [
    ("chained, never sealed", false, 0),
    ("sealed each second", true, 0),
    ("sealed each 1000 entries", true, 1000),
    ("sealed each 64 entries", true, 64),
];

fn measure(place: &Path, seals: bool, every: u32) -> Result<Duration> {
    std::fs::create_dir_all(place).context("making a folder")?;
    let settings = Settings {
        seals,
        records_per_second: u64::from(u32::MAX),
        bytes_per_second: u64::from(u32::MAX),
        records_at_once: u64::from(u32::MAX),
        bytes_at_once: u64::from(u32::MAX),
        seal_after: if every == 0 { 1_000_000 } else { 0 },
        sync_after: u64::MAX,
        ..Settings::default()
    };
    let disk = Folder(place.to_owned());
    let anchor = Some(Box::new(Fake::new(1)) as _);
    let mut store = Store::open(disk, settings, Some(secret()), anchor, clock::now())?;
    let stream = StreamName::new("console-serial")?;
    let begun = spent();
    for number in 0..ENTRIES {
        let text = format!(
            "<30>Nov 24 17:02:52 example[42]: session {number} opened for user alice by (uid=0), terminal tty1"
        );
        let source = Source {
            kind: Kind::Syslog,
            name: "console-serial".to_owned(),
            uid: Some(501),
            pid: Some(42),
        };
        let stamp = clock::now();
        store.say(&stream, syslog::parse(text.as_bytes()).by(source), stamp);
        if number % TURN == TURN - 1 {
            store.flush(stamp);
            let due = if every == 0 {
                store.next_deadline() <= stamp.boottime
            } else {
                false
            };
            if due || (every != 0 && number % every.max(TURN) < TURN) {
                store.tick(stamp);
            }
        }
    }
    store.flush(clock::now());
    let took = spent().saturating_sub(begun);
    store.stop(clock::now());
    Ok(took)
}

/// Processor time of this process, in user space and in the kernel: what else the
/// machine does is not ours.
fn spent() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

fn secret() -> Secret {
    let keys = MachineKeys::new(&[1; 32]);
    let epoch = Epoch::new([1; 16]);
    let seed = keys.boot(epoch, 1);
    let claim = Claim {
        epoch,
        boot: 1,
        first: 1,
        key: seed.public(),
    };
    Secret::in_memory(SealFile {
        boot: 1,
        seed,
        next: None,
        certificate: Certificate::issue(keys.root(), claim),
        root_public: keys.root().public(),
        anchor_auth: (*keys.anchor_auth()).into(),
    })
}
