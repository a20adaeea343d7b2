//! The log on a disk: what it keeps, and what verification says of it.
#![forbid(unsafe_code)]

mod bench;
mod running;

use std::fs;

use bastide_log::disk::Disk as _;
use bastide_log::settings::{SECOND, Settings};
use bastide_log_format::entry::{Kind, Priority};
use bastide_log_format::verify::What;

use bench::{Machine, Small, entry, name, text};

#[test]
fn what_is_said_is_kept_across_boots() {
    let mut machine = Machine::new();
    for boot in 0..3 {
        machine.initramfs();
        let mut store = machine.open();
        for number in 0..50 {
            let stamp = machine.pass(100_000);
            store.say(
                &name("console-serial"),
                entry(&format!("{boot} {number}")),
                stamp,
            );
            store.flush(stamp);
            store.tick(stamp);
        }
        let report = machine.verify();
        assert!(report.is_intact() && !report.closed, "{}", text(&report));
        let stamp = machine.pass(1);
        store.stop(stamp);
        drop(store);
        let report = machine.verify();
        assert!(report.is_intact() && report.closed, "{}", text(&report));
        assert!(
            matches!(&report.notes[..], [note] if note.what == What::BeginsWithTpm { boot: 8 }),
            "{}",
            text(&report)
        );
        assert_eq!(report.boots, boot + 1);
    }
    assert_eq!(machine.messages("console-serial").len(), 150);
    // Each boot's own certificate is in the ledger; none is left beside it.
    assert_eq!(
        fs::read_dir(machine.log().join("boots")).unwrap().count(),
        0
    );

    // One letter of it.
    let path = machine.log().join("console-serial/0000000008-000001.log");
    let content = fs::read_to_string(&path).unwrap();
    fs::write(&path, content.replacen("0 7\"", "0 8\"", 1)).unwrap();
    let report = machine.verify();
    assert!(!report.is_intact());
    assert!(
        text(&report).contains("console-serial/0000000008-000001.log:"),
        "{}",
        text(&report)
    );
}

#[test]
fn a_crash_loses_nothing_that_was_written_and_is_told() {
    let mut machine = Machine::new();
    machine.initramfs();
    for round in 0..3 {
        let mut store = machine.open();
        let stamp = machine.pass(1000);
        store.say(&name("kernel"), entry(&format!("round {round}")), stamp);
        store.flush(stamp);
        if round == 1 {
            store.tick(machine.pass(2 * SECOND));
        }
        // No stop: the process is gone.
    }
    let report = machine.verify();
    assert!(report.is_intact(), "{}", text(&report));
    let restarts = report
        .notes
        .iter()
        .filter(|note| note.what == What::Restarted);
    assert_eq!(restarts.count(), 2);
    assert_eq!(machine.messages("kernel").len(), 3);
    // Power is lost, in the middle of a line.
    let path = machine.log().join("kernel/0000000008-000003.log");
    let length = fs::metadata(&path).unwrap().len();
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(length - 5)
        .unwrap();
    machine.initramfs();
    machine.initramfs();
    let mut store = machine.open();
    let stamp = machine.pass(1);
    store.say(&name("kernel"), entry("after"), stamp);
    store.stop(stamp);
    let report = machine.verify();
    assert!(report.is_intact(), "{}", text(&report));
    assert!(
        text(&report).contains("boot 11 ended before its log began")
            || text(&report).contains("boot 10 ended before its log began"),
        "{}",
        text(&report)
    );
    assert_eq!(
        machine.messages("kernel").last().map(String::as_str),
        Some("after")
    );
}

#[test]
fn a_flood_displaces_nobody_else_s_entries() {
    let mut machine = Machine::new();
    machine.settings = Settings {
        bound: 4 * 1024 * 1024,
        streams: 8,
        part: 64 * 1024,
        records_at_once: u64::from(u32::MAX),
        bytes_at_once: u64::from(u32::MAX),
        ..Settings::default()
    };
    machine.initramfs();
    let mut store = machine.open();
    let quiet = name("quiet");
    let flood = name("flood");
    let mut said = 0;
    let mut kept = Vec::new();
    for round in 0..400_u32 {
        let stamp = machine.pass(SECOND);
        for _ in 0..40 {
            store.say(&flood, entry(&"x".repeat(400)), stamp);
        }
        // As much as the promise covers, and not a byte more than that.
        if said < machine.settings.share() * 9 / 10 && round % 2 == 0 {
            let message = format!("quiet {round} {}", "y".repeat(900));
            said += 1300;
            kept.push(message.clone());
            store.say(&quiet, entry(&message), stamp);
        }
        store.flush(stamp);
        store.tick(stamp);
    }
    let status = store.status();
    assert!(
        status.bytes <= machine.settings.bound + 64 * 1024,
        "{status:?}"
    );
    let stamp = machine.pass(1);
    store.stop(stamp);
    assert_eq!(machine.messages("quiet"), kept);
    let report = machine.verify();
    assert!(report.is_intact(), "{}", text(&report));
    let rotated = |what: &What| matches!(what, What::Rotated { .. });
    assert_eq!(
        report
            .notes
            .iter()
            .filter(|note| rotated(&note.what))
            .count(),
        1
    );
    assert!(machine.messages("flood").len() > 3000);
}

#[test]
fn a_source_that_says_too_much_is_cut_and_the_number_kept() {
    let mut machine = Machine::new();
    machine.settings.records_at_once = 100;
    machine.settings.records_per_second = 10;
    machine.initramfs();
    let mut store = machine.open();
    let stamp = machine.pass(1000);
    for _ in 0..1000 {
        store.say(&name("console-serial"), entry("x"), stamp);
        store.say(&name("kernel"), entry("y"), stamp);
    }
    store.say(&name("audit"), entry("z"), stamp);
    store.tick(machine.pass(3 * SECOND));
    store.stop(machine.now);
    assert_eq!(machine.messages("console-serial").len(), 100);
    assert_eq!(machine.messages("audit").len(), 1);
    let path = machine.log().join("console-serial/0000000008-000001.log");
    let content = fs::read_to_string(path).unwrap();
    assert!(
        content.contains("\"dropped\":{\"records\":900,\"bytes\":900}"),
        "{content}"
    );
    assert!(machine.verify().is_intact());
}

/// A machine whose disk is soon full, and which no limit of a source keeps from filling it.
fn on_a_small_disk() -> (Machine, Small) {
    let mut machine = Machine::new();
    machine.settings = Settings {
        part: 16 * 1024,
        floor: 64 * 1024,
        reserve: 32 * 1024,
        records_at_once: u64::from(u32::MAX),
        bytes_at_once: u64::from(u32::MAX),
        ..Settings::default()
    };
    machine.initramfs();
    let disk = machine.small(300 * 1024);
    (machine, disk)
}

#[test]
fn a_full_disk_ends_nothing() {
    let (mut machine, disk) = on_a_small_disk();
    let room = disk.room.clone();
    let mut store = machine.open_on(disk);
    for number in 0..2000 {
        let stamp = machine.pass(SECOND / 10);
        store.say(
            &name("kernel"),
            entry(&format!("{number} {}", "x".repeat(300))),
            stamp,
        );
        store.flush(stamp);
        store.tick(stamp);
    }
    let messages = machine.messages("kernel");
    assert!(
        messages.last().unwrap().starts_with("1999 "),
        "{:?}",
        messages.last()
    );
    assert!(
        machine
            .messages("log")
            .iter()
            .any(|words| words.contains("% full"))
    );
    assert!(
        machine
            .messages("log")
            .iter()
            .any(|words| words.contains("had to go"))
    );
    // Nothing at all is left: entries are counted, and the log goes on later.
    room.set(0);
    for _ in 0..50 {
        let stamp = machine.pass(SECOND / 10);
        store.say(&name("kernel"), entry(&"lost ".repeat(100)), stamp);
        store.flush(stamp);
        store.tick(stamp);
    }
    room.set(1024 * 1024);
    let stamp = machine.pass(10 * SECOND);
    store.say(&name("kernel"), entry("again"), stamp);
    store.flush(stamp);
    store.tick(machine.pass(SECOND));
    store.tick(machine.pass(SECOND));
    store.stop(machine.now);
    assert_eq!(
        machine.messages("kernel").last().map(String::as_str),
        Some("again")
    );
    let report = machine.verify();
    assert!(report.is_intact(), "{}", text(&report));
}

#[test]
fn what_is_critical_is_sealed_at_once() {
    let mut machine = Machine::new();
    machine.initramfs();
    let mut store = machine.open();
    let stamp = machine.pass(1000);
    let mut critical = entry("the end is near");
    critical.priority = Priority::CRITICAL;
    store.say(&name("kernel"), entry("nothing"), stamp);
    store.flush(stamp);
    let chained = |machine: &mut Machine| {
        let report = machine.verify();
        assert!(report.is_intact(), "{}", text(&report));
        report
            .streams
            .iter()
            .find(|stream| stream.name == name("kernel"))
            .unwrap()
            .chained_only
    };
    assert_eq!(chained(&mut machine), 2);
    store.say(&name("kernel"), critical, stamp);
    store.flush(stamp);
    assert_eq!(chained(&mut machine), 0);
    store.say(&name("kernel"), entry("later"), stamp);
    store.flush(stamp);
    assert_eq!(chained(&mut machine), 1);
    store.tick(machine.pass(SECOND));
    assert_eq!(chained(&mut machine), 0);
}

#[test]
fn the_secret_of_the_past_is_nowhere() {
    let mut machine = Machine::new();
    let boot = machine.initramfs();
    let first = machine.keys.boot(machine.epoch, boot).to_hex().to_string();
    assert!(fs::read_to_string(machine.seal()).unwrap().contains(&first));
    let mut store = machine.open();
    let stamp = machine.pass(1000);
    store.say(&name("kernel"), entry("x"), stamp);
    store.tick(machine.pass(SECOND));
    let now = fs::read_to_string(machine.seal()).unwrap();
    assert!(!now.contains(&first));
    assert_eq!(fs::metadata(machine.seal()).unwrap().len(), 4096);
}

/// A boot of one entry, which ends in order.
fn short_boot(machine: &mut Machine, words: &str) {
    machine.initramfs();
    let mut store = machine.open();
    let stamp = machine.pass(1000);
    store.say(&name("kernel"), entry(words), stamp);
    store.stop(stamp);
}

#[test]
fn a_log_that_was_wiped_does_not_pass_for_one_that_begins() {
    let mut machine = Machine::new();
    for epoch in [1, 2] {
        short_boot(&mut machine, "evidence");
        fs::remove_dir_all(machine.log()).unwrap();
        fs::create_dir(machine.log()).unwrap();
        short_boot(&mut machine, "nothing ever happened");
        let report = machine.verify();
        let late = |what: &What| matches!(what, What::LateBeginning { .. });
        assert!(
            report.problems.iter().any(|found| late(&found.what)),
            "epoch {epoch}: {}",
            text(&report)
        );
        machine.other_tpm(2, 1000);
    }
}

#[test]
fn another_tpm_counts_from_a_small_number_again() {
    let mut machine = Machine::new();
    short_boot(&mut machine, "first");
    machine.other_tpm(2, 7);
    // The same number as before, but another boot: a ledger of its own.
    short_boot(&mut machine, "second");
    short_boot(&mut machine, "third");
    let report = machine.verify();
    assert!(report.is_intact(), "{}", text(&report));
    assert_eq!(report.boots, 3);
    let changes = report
        .notes
        .iter()
        .filter(|note| note.what == What::OtherTpm { boot: 8 });
    assert_eq!(changes.count(), 1, "{}", text(&report));
    assert_eq!(machine.messages("kernel"), ["first", "second", "third"]);
}

#[test]
fn a_small_stream_outlives_the_ledgers_of_its_boots() {
    let mut machine = Machine::new();
    machine.settings.ledger_bound = 12 * 1024;
    for boot in 0..6 {
        short_boot(&mut machine, &format!("boot {boot}"));
    }
    machine.initramfs();
    let mut store = machine.open();
    for _ in 0..6 {
        store.tick(machine.pass(11 * SECOND));
    }
    store.stop(machine.now);
    let ledgers = fs::read_dir(machine.log().join("ledger")).unwrap().count();
    assert!(ledgers <= 5, "{ledgers}");
    let report = machine.verify();
    assert!(report.is_intact(), "{}", text(&report));
    assert_eq!(machine.messages("kernel").len(), 6);
}

#[test]
fn grave_words_without_end_do_not_keep_the_log_busy() {
    let mut machine = Machine::new();
    machine.initramfs();
    let mut store = machine.open();
    for number in 0..200 {
        let stamp = machine.pass(SECOND / 200);
        let mut grave = entry(&format!("{number}"));
        grave.priority = Priority::EMERGENCY;
        store.say(&name("loud"), grave, stamp);
        store.flush(stamp);
    }
    let path = machine.log().join("loud/0000000008-000001.log");
    let seals = |text: &str| text.matches("\"seal\":").count();
    let content = fs::read_to_string(&path).unwrap();
    assert!((10..=11).contains(&seals(&content)), "{}", seals(&content));
    // All are sealed within the second all the same.
    assert!(store.next_deadline() <= machine.now.boottime + SECOND);
    store.tick(machine.pass(SECOND));
    let report = machine.verify();
    assert!(report.is_intact(), "{}", text(&report));
    let loud = report
        .streams
        .iter()
        .find(|stream| stream.name == name("loud"));
    assert_eq!(loud.unwrap().chained_only, 0);
}

#[test]
fn a_crash_on_a_full_disk_leaves_a_log_that_verifies() {
    let (mut machine, disk) = on_a_small_disk();
    let mut store = machine.open_on(disk);
    let oldest = |machine: &Machine| {
        let files = machine.disk().list().unwrap();
        let of_kernel = files.into_iter().filter(|file| file.0 == name("kernel"));
        of_kernel.map(|file| file.1).min()
    };
    let (mut first, mut gone) = (None, 0);
    for _ in 0..60 {
        let stamp = machine.pass(SECOND / 10);
        // A turn of many entries, in which the disk becomes full several times.
        for _ in 0..40 {
            store.say(&name("kernel"), entry(&"x".repeat(300)), stamp);
            let now = oldest(&machine);
            if now != first {
                first = now;
                gone += 1;
                // Power is lost right here: nothing that waits in memory is of help.
                let report = machine.verify();
                assert!(report.is_intact(), "{}", text(&report));
            }
        }
        store.flush(stamp);
        let report = machine.verify();
        assert!(report.is_intact(), "{}", text(&report));
        store.tick(stamp);
    }
    assert!(gone > 10, "{gone}");
}

#[test]
fn what_is_set_aside_is_given_up_and_set_aside_again() {
    let machine = Machine::new();
    let disk = machine.disk();
    disk.reserve(64 * 1024).unwrap();
    disk.reserve(64 * 1024).unwrap();
    // It is no stream's file.
    assert_eq!(disk.list().unwrap(), []);
    assert!(disk.release().unwrap());
    assert!(!disk.release().unwrap());
    assert!(disk.reserve(u64::MAX / 4).is_err());
    assert!(!disk.release().unwrap());
}

#[test]
fn one_service_s_violations_do_not_displace_another_s() {
    let mut machine = Machine::new();
    machine.settings.records_at_once = 100;
    machine.initramfs();
    let mut store = machine.open();
    let violation = |user: u32, number: u32| {
        let mut entry = entry(&format!("auid=0 uid={user} pid={number} sig=31"));
        entry.source.kind = Kind::Audit;
        entry
    };
    let stamp = machine.pass(1000);
    for number in 0..1000 {
        store.say(&name("audit"), violation(501, number), stamp);
    }
    store.say(&name("audit"), violation(502, 7), stamp);
    store.stop(stamp);
    let messages = machine.messages("audit");
    assert_eq!(messages.len(), 101);
    assert_eq!(messages[100], "auid=0 uid=502 pid=7 sig=31");
}

#[test]
fn what_is_grave_is_anchored_soon_and_not_too_often() {
    let mut machine = Machine::new();
    machine.initramfs();
    let mut store = machine.open();
    let anchors = |store: &bastide_log::store::Store<_>| {
        let last = store.status().anchor.unwrap();
        last.counter - 9
    };
    let mut grave = entry("somebody came in");
    grave.priority = Priority::CRITICAL;
    assert_eq!(anchors(&store), 0);
    store.say(&name("kernel"), grave.clone(), machine.now);
    store.flush(machine.now);
    assert!(store.next_deadline() <= machine.now.boottime + 60 * SECOND);
    store.tick(machine.pass(59 * SECOND));
    assert_eq!(anchors(&store), 0);
    store.tick(machine.pass(2 * SECOND));
    assert_eq!(anchors(&store), 1);
    // Power is lost, and the end is cut.
    let path = machine.log().join("kernel/0000000008-000001.log");
    let whole = fs::read_to_string(&path).unwrap();
    let first = whole.split_inclusive('\n').next().unwrap();
    fs::write(&path, first).unwrap();
    let report = machine.verify();
    let cut = |what: &What| matches!(what, What::Cut { .. });
    assert!(
        report.problems.iter().any(|found| cut(&found.what)),
        "{}",
        text(&report)
    );
    fs::write(&path, &whole).unwrap();

    // Without end, over a day: the TPM's memory is spared.
    for _ in 0..24 * 60 {
        store.say(&name("kernel"), grave.clone(), machine.now);
        store.flush(machine.now);
        store.tick(machine.pass(60 * SECOND));
    }
    let most = 2 * u64::from(machine.settings.early_anchors) + 2;
    assert!(anchors(&store) <= most, "{}", anchors(&store));
    // None is due at once for ever, either.
    assert!(store.next_deadline() > machine.now.boottime);
}
