//! A log in memory, written as the program writes it.

use std::collections::BTreeMap;

use bastide_log_format::certificate::{Certificate, Claim};
use bastide_log_format::chain::Chain;
use bastide_log_format::entry::{Kind, Priority, Said, Source};
use bastide_log_format::epoch::Epoch;
use bastide_log_format::key::{MachineKeys, Seed};
use bastide_log_format::ledger::{Anchor, LedgerRemoval, Pin, Registration, Says, Start};
use bastide_log_format::name::{FileName, StreamName};
use bastide_log_format::record::{Body, Part, Removal, RemovalReason, Stamp};
use bastide_log_format::verify::{Report, Verifier, order};

/// Numbers that look random and are the same in every run (xorshift64*).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit.max(1) as u64).unwrap()
    }
}

pub type Files = BTreeMap<(StreamName, FileName), Vec<u8>>;

/// A stream as its writer holds it.
struct Writer {
    chain: Chain,
    key: Option<Seed>,
    part: u32,
    file: Option<FileName>,
    pinned: u64,
    sealed: u64,
}

pub struct Bench {
    pub keys: MachineKeys,
    /// The TPM's counter.
    pub counter: u64,
    pub first: u64,
    pub epoch: Epoch,
    pub files: Files,
    pub certificates: Vec<String>,
    ledger: Chain,
    ledger_key: Option<Seed>,
    ledger_part: u32,
    streams: BTreeMap<StreamName, Writer>,
    boot: u64,
    pub random: Random,
    time: u64,
}

pub fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

impl Bench {
    pub fn new(seed: u64) -> Self {
        Self {
            keys: MachineKeys::new(&[5; 32]),
            counter: 7,
            first: 8,
            epoch: Epoch::new([1; 16]),
            files: Files::new(),
            certificates: Vec::new(),
            ledger: Chain::new(StreamName::ledger()),
            ledger_key: None,
            ledger_part: 0,
            streams: BTreeMap::new(),
            boot: 0,
            random: Random(seed),
            time: 1,
        }
    }

    fn stamp(&mut self) -> Stamp {
        self.time += 1;
        Stamp {
            time: self.time,
            boottime: self.time,
        }
    }

    fn seed(&mut self) -> Seed {
        let mut bytes = [0; 32];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&self.random.next().to_le_bytes());
        }
        Seed::new(bytes)
    }

    fn ledger_file(&self) -> (StreamName, FileName) {
        let name = FileName {
            part: self.ledger_part,
            boot: self.boot,
        };
        (StreamName::ledger(), name)
    }

    /// Writes a record of the ledger.
    pub fn ledger(&mut self, says: Says) {
        let stamp = self.stamp();
        for pin in says.pins() {
            if let Some(writer) = self.streams.get_mut(&pin.stream) {
                writer.pinned = pin.seq;
            }
        }
        let next = self.seed();
        let key = self.ledger_key.replace(next.clone()).unwrap();
        let file = self.ledger_file();
        let output = self.files.entry(file).or_default();
        self.ledger
            .ledger(self.boot, stamp, says, &key, &next, output)
            .unwrap();
    }

    /// What the initramfs does.
    pub fn initramfs(&mut self) {
        self.counter += 1;
        self.boot = self.counter;
        let key = self.keys.boot(self.epoch, self.boot);
        let claim = Claim {
            epoch: self.epoch,
            boot: self.boot,
            first: self.first,
            key: key.public(),
        };
        let certificate = Certificate::issue(self.keys.root(), claim);
        self.certificates.push(certificate.to_hex());
        self.ledger_key = Some(key);
    }

    /// The machine gets another TPM, which counts from there.
    pub fn other_tpm(&mut self, epoch: u8, counter: u64) {
        self.epoch = Epoch::new([epoch; 16]);
        self.counter = counter;
        self.first = counter + 1;
    }

    pub fn pins(&self) -> Vec<Pin> {
        self.streams
            .values()
            .map(|writer| writer.chain.pin())
            .collect()
    }

    /// A boot up to its first anchor.
    pub fn boot(&mut self) {
        self.initramfs();
        self.ledger_part += 1;
        for writer in self.streams.values_mut() {
            writer.key = None;
            writer.file = None;
        }
        let start = Start {
            certificate: self.certificates.last().cloned(),
            key: self.keys.boot(self.epoch, self.boot).public(),
            part: self.ledger_part,
            previous: self.ledger.head(),
            pins: self.pins(),
        };
        self.ledger(Says::Start(start));
        self.anchor();
    }

    pub fn anchor(&mut self) {
        self.promise();
        self.counter += 1;
    }

    /// An anchor that a crash keeps from being made.
    pub fn promise(&mut self) {
        let anchor = Anchor {
            counter: self.counter + 1,
            pins: self.pins(),
        };
        self.ledger(Says::Anchor(anchor));
    }

    pub fn stop(&mut self) {
        let names: Vec<StreamName> = self.streams.keys().cloned().collect();
        for stream in names {
            self.seal(stream.as_str());
        }
        self.anchor();
        self.ledger(Says::Stop {});
    }

    fn register(&mut self, stream: &StreamName) {
        let writer = self
            .streams
            .entry(stream.clone())
            .or_insert_with(|| Writer {
                chain: Chain::new(stream.clone()),
                key: None,
                part: 0,
                file: None,
                pinned: 0,
                sealed: 0,
            });
        if writer.key.is_some() {
            return;
        }
        let pin = writer.chain.pin();
        let key = self.seed();
        self.ledger(Says::Stream(Registration {
            pin,
            key: key.public(),
        }));
        self.streams.get_mut(stream).unwrap().key = Some(key);
        self.rotate(stream.as_str());
    }

    pub fn rotate(&mut self, stream: &str) {
        let stamp = self.stamp();
        let boot = self.boot;
        let stream = name(stream);
        let Some(writer) = self.streams.get_mut(&stream) else {
            return;
        };
        let Some(key) = writer.key.as_ref().map(Seed::public) else {
            return;
        };
        writer.part += 1;
        let file = FileName {
            part: writer.part,
            boot,
        };
        writer.file = Some(file);
        let part = Part {
            stream: stream.clone(),
            number: writer.part,
            previous: writer.chain.head(),
            key,
        };
        let output = self.files.entry((stream, file)).or_default();
        writer
            .chain
            .append(boot, stamp, Body::Part(part), output)
            .unwrap();
    }

    fn write(&mut self, stream: &str, body: Body) {
        let stamp = self.stamp();
        let writer = self.streams.get_mut(&name(stream)).unwrap();
        let output = self
            .files
            .entry((name(stream), writer.file.unwrap()))
            .or_default();
        writer.chain.append(self.boot, stamp, body, output).unwrap();
    }

    pub fn say(&mut self, stream: &str) {
        self.register(&name(stream));
        let said = Said::new(
            Priority::INFORMATION,
            format!("number {}", self.random.next()),
        );
        let entry = said.by(Source {
            kind: Kind::Output,
            name: stream.to_owned(),
            uid: Some(501),
            pid: None,
        });
        self.write(stream, Body::Entry(entry));
    }

    pub fn seal(&mut self, stream: &str) {
        let stamp = self.stamp();
        let next = self.seed();
        let boot = self.boot;
        let Some(writer) = self.streams.get_mut(&name(stream)) else {
            return;
        };
        let Some(key) = writer.key.replace(next.clone()) else {
            writer.key = None;
            return;
        };
        let output = self
            .files
            .entry((name(stream), writer.file.unwrap()))
            .or_default();
        writer.chain.seal(boot, stamp, &key, &next, output).unwrap();
        writer.sealed = writer.chain.seq();
    }

    /// The oldest file of a stream makes room, unless it is the only one.
    pub fn remove_oldest(&mut self, stream: &str) {
        let stream = name(stream);
        let of_stream = |key: &&(StreamName, FileName)| key.0 == stream;
        let files: Vec<_> = self.files.keys().filter(of_stream).cloned().collect();
        let writes = self
            .streams
            .get(&stream)
            .is_some_and(|writer| writer.key.is_some());
        if files.len() < 2 || !writes {
            return;
        }
        let content = self.files.remove(&files[0]).unwrap();
        let (last, head) = last_of(&content);
        let removal = Removal {
            file: files[0].1.to_string(),
            last,
            head,
            bytes: content.len() as u64,
            reason: RemovalReason::Bound,
        };
        self.write(stream.as_str(), Body::Removal(removal));
        let pin = self.streams[&stream].chain.pin();
        self.ledger(Says::Pin { pins: vec![pin] });
    }

    /// The oldest file of the ledger makes room.
    pub fn remove_oldest_of_ledger(&mut self, epoch: Epoch, counter: u64) {
        let file = self
            .files
            .keys()
            .find(|key| key.0.is_ledger())
            .cloned()
            .unwrap();
        let content = self.files.remove(&file).unwrap();
        let (last, head) = last_of(&content);
        self.ledger(Says::Removal(LedgerRemoval {
            file: file.1.to_string(),
            last,
            head,
            epoch: Some(epoch),
            counter,
        }));
    }

    /// Up to which record a stream's tail cannot be cut, and up to which it cannot be
    /// changed, unnoticed.
    pub fn protected(&self, stream: &StreamName) -> (u64, u64) {
        let writer = &self.streams[stream];
        (writer.pinned, writer.sealed.max(writer.pinned))
    }

    pub fn verify(&mut self) -> Report {
        let files = self.files.clone();
        self.verify_files(&files)
    }

    pub fn verify_files(&mut self, files: &Files) -> Report {
        let mut verifier = Verifier::new(Some(self.keys.root().public()), Some(self.counter));
        for certificate in &self.certificates {
            verifier.boot_certificate(certificate.as_bytes());
        }
        let mut names: Vec<_> = files.keys().cloned().collect();
        order(&mut names);
        for key in names {
            verifier.begin(&key.0, key.1).unwrap();
            let mut rest = &files[&key][..];
            while !rest.is_empty() {
                let (piece, after) = rest.split_at(1 + self.random.below(rest.len().min(2000)));
                verifier.push(piece);
                rest = after;
            }
        }
        verifier.finish()
    }
}

fn last_of(content: &[u8]) -> (u64, bastide_log_format::digest::Digest) {
    let line = content
        .trim_ascii_end()
        .rsplit(|byte| *byte == b'\n')
        .next()
        .unwrap();
    let line = bastide_log_format::line::Line::parse(line).unwrap();
    let value: serde_json::Value = serde_json::from_slice(line.json).unwrap();
    (value["seq"].as_u64().unwrap(), line.hash)
}
