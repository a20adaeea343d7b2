//! Verification finds what was done to a log, and nothing where nothing was done.
#![forbid(unsafe_code)]

mod bench;

use bastide_log_format::digest::Digest;
use bastide_log_format::line::Line;
use bastide_log_format::name::StreamName;
use bastide_log_format::verify::{Report, What};

use bench::{Bench, Files, Random, name};

/// What every log that nothing was removed from says.
const BEGINS: What = What::BeginsWithTpm { boot: 8 };

const STREAMS: [&str; 3] = ["audit", "console-serial", "kernel"];

/// Three boots with anything in them; the last one may end in any way.
fn random_log(seed: u64) -> Bench {
    let mut bench = Bench::new(seed | 1);
    for _ in 0..3 {
        bench.boot();
        for _ in 0..bench.random.below(60) {
            let stream = STREAMS[bench.random.below(3)];
            match bench.random.below(20) {
                0..=11 => bench.say(stream),
                12..=15 => bench.seal(stream),
                16 => bench.rotate(stream),
                17 => bench.remove_oldest(stream),
                18 => bench.anchor(),
                _ => bench.promise(),
            }
        }
        if bench.random.below(2) == 0 {
            bench.stop();
        }
    }
    bench
}

fn text(report: &Report) -> String {
    report
        .problems
        .iter()
        .chain(&report.notes)
        .map(|finding| format!("{finding}\n"))
        .collect()
}

fn assert_intact(report: &Report) {
    assert!(report.is_intact(), "{}", text(report));
}

fn found(report: &Report, expected: impl Fn(&What) -> bool) {
    let hit = report
        .problems
        .iter()
        .any(|finding| expected(&finding.what));
    assert!(hit, "{}", text(report));
}

fn noted(report: &Report, expected: impl Fn(&What) -> bool) {
    assert_intact(report);
    let hit = report.notes.iter().any(|finding| expected(&finding.what));
    assert!(hit, "{}", text(report));
}

#[test]
fn a_log_that_nobody_touched_is_intact() {
    for seed in 1..=100 {
        let mut bench = random_log(seed);
        assert_intact(&bench.verify());
    }
}

/// Lines with their newlines, and where each begins.
fn lines(content: &[u8]) -> Vec<Vec<u8>> {
    content
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect()
}

fn seq(line: &[u8]) -> u64 {
    let line = Line::parse(line.strip_suffix(b"\n").unwrap_or(line)).unwrap();
    let value: serde_json::Value = serde_json::from_slice(line.json).unwrap();
    value["seq"].as_u64().unwrap()
}

fn has_seal_after(files: &Files, stream: &StreamName, after: u64) -> bool {
    files
        .iter()
        .filter(|(key, _)| key.0 == *stream)
        .flat_map(|(_, content)| lines(content))
        .any(|line| seq(&line) > after && !line.ends_with(b"}\n"))
}

/// What was done, and to which record first.
#[derive(Debug)]
struct Edit {
    kind: usize,
    stream: StreamName,
    first: u64,
    /// Only the end is gone.
    cut: bool,
}

/// Does something to a log; `None` when it happens to change nothing.
fn edit(files: &mut Files, random: &mut Random) -> Option<Edit> {
    let keys: Vec<_> = files.keys().cloned().collect();
    let key = keys[random.below(keys.len())].clone();
    let other = keys[random.below(keys.len())].clone();
    let foreign = lines(&files[&other]);
    let foreign = foreign[random.below(foreign.len())].clone();
    let before = files[&key].clone();
    let mut content = lines(&before);
    let place = random.below(content.len());
    let first = seq(&content[place]);
    let last_file = keys.iter().filter(|other| other.0 == key.0).max() == Some(&key);
    let mut cut = false;
    let kind = random.below(8);
    match kind {
        0 | 1 => {
            let line = &mut content[place];
            let byte = random.below(line.len());
            line[byte] ^= 1 << random.below(8);
        }
        2 => {
            cut = last_file && place + 1 == content.len();
            content.remove(place);
        }
        3 => {
            let with = (place + 1) % content.len();
            content.swap(place, with);
        }
        4 => content.insert(place, content[place].clone()),
        5 => content[place] = foreign,
        6 => {
            cut = last_file;
            content.truncate(place);
            let torn = random.below(40);
            content.push(before[..torn.min(before.len())].to_vec());
        }
        _ => {
            files.remove(&key);
            let first = seq(&lines(&before)[0]);
            let stream = key.0;
            let cut = last_file;
            return Some(Edit {
                kind,
                stream,
                first,
                cut,
            });
        }
    }
    let after = content.concat();
    if after == before {
        return None;
    }
    files.insert(key.clone(), after);
    let first = if kind == 3 && place + 1 == lines(&before).len() {
        seq(&lines(&before)[0])
    } else {
        first
    };
    let stream = key.0;
    Some(Edit {
        kind,
        stream,
        first,
        cut,
    })
}

/// Makes the hashes of a stream fit again, as a forger without keys can.
fn forge(files: &mut Files, stream: &StreamName) {
    let mut head: Option<Digest> = None;
    for (key, content) in files.iter_mut() {
        if key.0 != *stream {
            continue;
        }
        let mut output = Vec::new();
        for line in lines(content) {
            let Ok(mut line) = Line::parse(line.strip_suffix(b"\n").unwrap_or(&line)) else {
                output.extend(line);
                continue;
            };
            let mut json = String::from_utf8_lossy(line.json).into_owned();
            if let Some(head) = head
                && let Some(place) = json.find("\"previous\":\"")
            {
                let place = place + "\"previous\":\"".len();
                json.replace_range(place..place + 64, &head.to_string());
            }
            line.hash = match head {
                None => line.hash,
                Some(head) => head.follow(json.as_bytes()),
            };
            head = Some(line.hash);
            let line = Line {
                json: json.as_bytes(),
                ..line
            };
            line.write(&mut output);
        }
        *content = output;
    }
}

#[test]
fn any_change_before_the_last_seal_is_found() {
    let (mut done, mut tails) = (0, 0);
    for seed in 1..=1200_u64 {
        let mut bench = random_log(seed % 40 + 1000);
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let mut files = bench.files.clone();
        let Some(edit) = edit(&mut files, &mut random) else {
            continue;
        };
        let forged = seed % 2 == 0;
        if forged {
            forge(&mut files, &edit.stream);
            if files == bench.files {
                continue;
            }
        }
        let report = bench.verify_files(&files);
        if edit.stream.is_ledger() {
            // Without its end, the ledger lacks what only the counter can tell.
            let kept = files.iter().filter(|(key, _)| key.0.is_ledger());
            let anchors = |content: &Vec<u8>| {
                lines(content)
                    .iter()
                    .filter(|line| {
                        let text = String::from_utf8_lossy(line);
                        text.contains("\"anchor\"") || text.contains("\"start\"")
                    })
                    .count()
            };
            let kept: usize = kept.map(|(_, content)| anchors(content)).sum();
            let were: usize = bench
                .files
                .iter()
                .filter(|(key, _)| key.0.is_ledger())
                .map(|(_, content)| anchors(content))
                .sum();
            if edit.cut && kept == were {
                tails += 1;
                continue;
            }
            // A promise at the very end that was never made is of no more use.
            if edit.cut && report.counter == Some(bench.counter) {
                continue;
            }
        } else {
            let (pinned, sealed) = bench.protected(&edit.stream);
            let covered = if edit.cut {
                edit.first <= pinned
            } else if forged || edit.kind == 7 {
                edit.first <= pinned || has_seal_after(&bench.files, &edit.stream, edit.first)
            } else {
                edit.first <= sealed
            };
            if !covered {
                tails += 1;
                continue;
            }
        }
        done += 1;
        assert!(
            !report.is_intact(),
            "seed {seed}, forged {forged}: {edit:?}\n{}",
            text(&report)
        );
    }
    assert!(done > 700, "{done} edits, {tails} in tails");
}

#[test]
fn what_follows_the_last_seal_is_counted() {
    let mut bench = Bench::new(3);
    bench.boot();
    for _ in 0..5 {
        bench.say("kernel");
    }
    bench.seal("kernel");
    for _ in 0..3 {
        bench.say("kernel");
    }
    let report = bench.verify();
    noted(&report, |what| *what == What::ChainedOnly { count: 3 });
    assert_eq!(report.streams[0].chained_only, 3);
    assert!(!report.closed);
    bench.stop();
    let report = bench.verify();
    assert!(
        report.closed && matches!(&report.notes[..], [note] if note.what == BEGINS),
        "{}",
        text(&report)
    );
}

#[test]
fn a_tail_cut_before_an_anchor_is_found_and_named() {
    let mut bench = Bench::new(4);
    bench.boot();
    for _ in 0..5 {
        bench.say("kernel");
    }
    bench.seal("kernel");
    bench.anchor();
    // The stream alone: the ledger knows better.
    let mut files = bench.files.clone();
    let key = files
        .keys()
        .find(|key| key.0 == name("kernel"))
        .unwrap()
        .clone();
    let content = lines(&files[&key]);
    files.insert(key.clone(), content[..4].concat());
    let report = bench.verify_files(&files);
    found(&report, |what| *what == What::Cut { last: 4, known: 7 });
    // The ledger as well, back to the anchor before: the counter knows better.
    let ledger = files.keys().find(|key| key.0.is_ledger()).unwrap().clone();
    let content = lines(&files[&ledger]);
    files.insert(ledger, content[..content.len() - 1].concat());
    let report = bench.verify_files(&files);
    found(&report, |what| matches!(what, What::Ahead { .. }));
    // All of the stream.
    let mut files = bench.files.clone();
    files.remove(&key);
    let report = bench.verify_files(&files);
    found(&report, |what| *what == What::StreamMissing { last: 7 });
}

#[test]
fn a_boot_that_is_missing_is_found_and_one_that_never_logged_is_told_apart() {
    let mut bench = Bench::new(5);
    bench.boot();
    bench.say("kernel");
    bench.stop();
    // Power is lost twice before the log begins.
    bench.initramfs();
    bench.initramfs();
    bench.boot();
    bench.stop();
    let report = bench.verify();
    noted(&report, |what| *what == What::Unlogged { boot: 11 });
    noted(&report, |what| *what == What::Unlogged { boot: 12 });
    bench.certificates.remove(2);
    let report = bench.verify();
    found(&report, |what| {
        *what == What::Unaccounted { from: 11, to: 12 }
    });

    // The log of a whole boot is gone, with everything that it wrote.
    let mut bench = Bench::new(6);
    for _ in 0..3 {
        bench.boot();
        bench.say("kernel");
        bench.stop();
    }
    let files = bench.files.clone();
    let without = files
        .into_iter()
        .filter(|(key, _)| key.1.boot != 11)
        .collect();
    let report = bench.verify_files(&without);
    found(&report, |what| {
        *what == What::Unaccounted { from: 11, to: 13 }
    });
    // Everything is gone but the last boot's log, made to look like a beginning.
    let mut bench = Bench::new(7);
    bench.boot();
    bench.stop();
    let (counter, certificates) = (bench.counter, bench.certificates.clone());
    let mut later = Bench::new(8);
    later.counter = counter;
    later.boot();
    later.certificates.splice(0..0, certificates);
    let report = later.verify();
    found(&report, |what| {
        *what == What::LateBeginning { boot: 11, first: 8 }
    });
}

#[test]
fn a_disk_put_back_is_found() {
    let mut bench = Bench::new(9);
    bench.boot();
    bench.stop();
    let old = bench.files.clone();
    bench.boot();
    bench.stop();
    let report = bench.verify_files(&old);
    found(&report, |what| *what == What::Ahead { now: 13, known: 10 });
    bench.counter = 12;
    assert_intact(&bench.verify());
    bench.counter = 2;
    found(&bench.verify(), |what| matches!(what, What::Behind { .. }));
}

#[test]
fn a_crash_between_writing_and_counting_is_told() {
    let mut bench = Bench::new(10);
    bench.boot();
    bench.promise();
    let report = bench.verify();
    noted(&report, |what| *what == What::Promised { counter: 10 });
    bench.boot();
    let report = bench.verify();
    noted(&report, |what| *what == What::Promised { counter: 10 });
    noted(&report, |what| *what == What::NotClosed { boot: 8 });
}

#[test]
fn rotation_leaves_what_is_left_verifiable() {
    let mut bench = Bench::new(11);
    bench.boot();
    for _ in 0..5 {
        for _ in 0..3 {
            bench.say("kernel");
        }
        bench.seal("kernel");
        bench.rotate("kernel");
    }
    bench.remove_oldest("kernel");
    bench.remove_oldest("kernel");
    bench.seal("kernel");
    noted(&bench.verify(), |what| *what == What::Rotated { first: 11 });
    // One file more than the records say.
    let key = bench
        .files
        .keys()
        .find(|key| key.0 == name("kernel"))
        .unwrap()
        .clone();
    let mut files = bench.files.clone();
    files.remove(&key);
    found(&bench.verify_files(&files), |what| {
        *what == What::Missing { first: 16 }
    });

    bench.stop();
    let counter = bench.counter;
    bench.boot();
    bench.remove_oldest_of_ledger(bench.epoch, counter);
    bench.say("audit");
    bench.stop();
    noted(&bench.verify(), |what| matches!(what, What::Rotated { .. }));
    let ledger = bench
        .files
        .keys()
        .find(|key| key.0.is_ledger())
        .unwrap()
        .clone();
    let mut files = bench.files.clone();
    files.remove(&ledger);
    found(&bench.verify_files(&files), |what| *what == What::NoLedger);
}

#[test]
fn another_machine_s_log_is_none_of_ours() {
    let mut bench = Bench::new(12);
    bench.boot();
    bench.say("kernel");
    bench.stop();
    bench.keys = bastide_log_format::key::MachineKeys::new(&[6; 32]);
    found(&bench.verify(), |what| matches!(what, What::Certificate(_)));
}

#[test]
fn a_torn_end_is_told() {
    let mut bench = Bench::new(13);
    bench.boot();
    bench.say("kernel");
    bench.seal("kernel");
    bench.say("kernel");
    let key = bench
        .files
        .keys()
        .find(|key| key.0 == name("kernel"))
        .unwrap()
        .clone();
    let length = bench.files[&key].len();
    bench.files.get_mut(&key).unwrap().truncate(length - 7);
    noted(&bench.verify(), |what| matches!(what, What::Torn { .. }));
}

#[test]
fn a_stream_that_a_crash_kept_from_beginning_is_told() {
    let mut bench = Bench::new(17);
    bench.boot();
    bench.say("kernel");
    let (kernel, _) = bench
        .files
        .iter_mut()
        .find(|(key, _)| key.0 == name("kernel"))
        .map(|(key, content)| (key.clone(), content.clear()))
        .unwrap();
    noted(&bench.verify(), |what| matches!(what, What::Empty));

    // The same after the ledger knew of a record is a cut.
    let mut bench = Bench::new(17);
    bench.boot();
    bench.say("kernel");
    bench.seal("kernel");
    bench.anchor();
    bench.files.get_mut(&kernel).unwrap().clear();
    found(&bench.verify(), |what| {
        matches!(what, What::Cut { last: 0, .. })
    });
}

#[test]
fn a_root_that_does_not_say_where_the_log_began_is_no_evidence() {
    let mut bench = Bench::new(14);
    bench.first = 0;
    bench.boot();
    bench.stop();
    found(&bench.verify(), |what| *what == What::Begins { boot: 8 });
}

#[test]
fn each_tpm_counts_for_itself() {
    let mut bench = Bench::new(15);
    let (epoch, first) = (bench.epoch, bench.first);
    bench.boot();
    bench.say("kernel");
    bench.stop();
    let counter = bench.counter;
    bench.other_tpm(2, 3);
    bench.initramfs();
    bench.boot();
    bench.say("kernel");
    bench.stop();
    let report = bench.verify();
    noted(&report, |what| *what == What::OtherTpm { boot: 5 });
    noted(&report, |what| *what == What::Unlogged { boot: 4 });
    // The certificate of that number was given for another TPM's boot.
    let mut other = bench.certificates.clone();
    std::mem::swap(&mut other, &mut bench.certificates);
    bench
        .certificates
        .retain(|certificate| certificate != &other[1]);
    found(&bench.verify(), |what| {
        *what == What::LateBeginning { boot: 5, first: 4 }
    });
    bench.certificates = other;

    // The first one is back, and goes on where it was.
    bench.epoch = epoch;
    bench.first = first;
    bench.counter = counter;
    bench.boot();
    bench.stop();
    noted(&bench.verify(), |what| *what == What::OtherTpm { boot: 11 });
    // Within one TPM's time, back is back.
    bench.counter = 5;
    bench.boot();
    found(&bench.verify(), |what| {
        *what == What::Back { from: 13, to: 6 }
    });
}

#[test]
fn rotation_between_two_tpms_is_honest() {
    let mut bench = Bench::new(16);
    let epoch = bench.epoch;
    bench.boot();
    bench.stop();
    let counter = bench.counter;
    bench.other_tpm(2, 3);
    bench.boot();
    bench.remove_oldest_of_ledger(epoch, counter);
    bench.stop();
    noted(&bench.verify(), |what| *what == What::OtherTpm { boot: 4 });
}

#[test]
fn small_streams_outlive_the_ledgers_of_their_boots() {
    let mut bench = Bench::new(17);
    let mut counters = Vec::new();
    for _ in 0..3 {
        bench.boot();
        bench.say("kernel");
        bench.seal("kernel");
        bench.rotate("kernel");
        bench.say("kernel");
        bench.stop();
        counters.push(bench.counter);
    }
    bench.boot();
    for counter in &counters[..2] {
        bench.remove_oldest_of_ledger(bench.epoch, *counter);
    }
    bench.say("kernel");
    bench.stop();
    noted(&bench.verify(), |what| matches!(what, What::Rotated { .. }));

    // What nobody's key is known for any more is still what it was.
    let key = bench.files.keys().find(|key| key.0 == name("kernel"));
    let key = key.unwrap().clone();
    for line in 0..lines(&bench.files[&key]).len() {
        let mut files = bench.files.clone();
        let mut content = lines(&files[&key]);
        let place = content[line].len() / 2;
        content[line][place] ^= 1;
        files.insert(key.clone(), content.concat());
        forge(&mut files, &key.0);
        assert!(!bench.verify_files(&files).is_intact(), "line {line}");
    }
    // A boot whose ledger is there has no such liberty.
    let ledger = bench.files.keys().find(|key| key.0.is_ledger()).unwrap();
    let part = bench
        .files
        .keys()
        .find(|key| key.0 == name("kernel") && key.1.boot == ledger.1.boot);
    let part = part.unwrap().clone();
    let mut files = bench.files.clone();
    let text = String::from_utf8(files[&part].clone()).unwrap();
    let place = text.find("\"key\":\"").unwrap() + 7;
    let forged = format!(
        "{}{}{}",
        &text[..place],
        "0".repeat(64),
        &text[place + 64..]
    );
    files.insert(part.clone(), forged.into_bytes());
    forge(&mut files, &part.0);
    found(&bench.verify_files(&files), |what| *what == What::OtherKey);
}
