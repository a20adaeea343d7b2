//! A machine's log in a temporary folder.

use std::cell::Cell;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;

use bastide_log::anchor::{Anchor, Fake};
use bastide_log::disk::{Disk, Folder, Listed, Space};
use bastide_log::secret::Secret;
use bastide_log::settings::Settings;
use bastide_log::store::Store;
use bastide_log_format::certificate::{Certificate, Claim};
use bastide_log_format::entry::{Entry, Kind, Priority, Said, Source};
use bastide_log_format::epoch::Epoch;
use bastide_log_format::key::MachineKeys;
use bastide_log_format::line::Line;
use bastide_log_format::name::{BOOTS, FileName, StreamName, boot_file};
use bastide_log_format::record::{Record, Stamp};
use bastide_log_format::seal_file::SealFile;
use bastide_log_format::verify::{Report, Verifier, order};

pub struct Machine {
    pub keys: MachineKeys,
    pub epoch: Epoch,
    /// The first boot of the epoch.
    pub first: u64,
    pub counter: Fake,
    pub now: Stamp,
    pub settings: Settings,
    folder: tempfile::TempDir,
}

/// A disk that has only so much room.
#[derive(Clone)]
pub struct Small {
    pub folder: Folder,
    pub room: Rc<Cell<u64>>,
    reserved: Rc<Cell<u64>>,
}

impl Small {
    fn used(&self) -> u64 {
        let files = self.folder.list().unwrap();
        files.iter().map(|file| file.2).sum::<u64>() + self.reserved.get()
    }
}

impl Disk for Small {
    fn list(&self) -> io::Result<Vec<Listed>> {
        self.folder.list()
    }
    fn create(&self, stream: &StreamName, name: FileName) -> io::Result<File> {
        self.folder.create(stream, name)
    }
    fn reopen(&self, stream: &StreamName, name: FileName) -> io::Result<File> {
        self.folder.reopen(stream, name)
    }
    fn read(&self, stream: &StreamName, name: FileName) -> io::Result<File> {
        self.folder.read(stream, name)
    }
    fn append(&self, file: &mut File, size: u64, bytes: &[u8]) -> io::Result<()> {
        if self.used() + bytes.len() as u64 > self.room.get() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.folder.append(file, size, bytes)
    }
    fn remove(&self, stream: &StreamName, name: FileName) -> io::Result<()> {
        self.folder.remove(stream, name)
    }
    fn reserve(&self, bytes: u64) -> io::Result<()> {
        let missing = bytes - self.reserved.get();
        if self.used() + missing > self.room.get() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.reserved.set(bytes);
        Ok(())
    }
    fn release(&self) -> io::Result<bool> {
        Ok(self.reserved.replace(0) > 0)
    }
    fn space(&self) -> io::Result<Space> {
        let total = self.room.get();
        Ok(Space {
            total,
            free: total.saturating_sub(self.used()),
        })
    }
    fn certificates(&self) -> io::Result<Vec<(String, Vec<u8>)>> {
        self.folder.certificates()
    }
    fn remove_certificate(&self, name: &str) -> io::Result<()> {
        self.folder.remove_certificate(name)
    }
}

impl Machine {
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("log")).unwrap();
        Self {
            keys: MachineKeys::new(&[5; 32]),
            epoch: Epoch::new([1; 16]),
            first: 8,
            counter: Fake::new(7),
            now: Stamp {
                time: 1_700_000_000_000_000,
                boottime: 1_000_000,
            },
            settings: Settings::default(),
            folder,
        }
    }

    pub fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    pub fn seal(&self) -> PathBuf {
        self.folder.path().join("seal")
    }

    pub fn disk(&self) -> Folder {
        Folder(self.log())
    }

    pub fn small(&self, room: u64) -> Small {
        Small {
            folder: self.disk(),
            room: Rc::new(Cell::new(room)),
            reserved: Rc::default(),
        }
    }

    pub fn pass(&mut self, microseconds: u64) -> Stamp {
        self.now.time += microseconds;
        self.now.boottime += microseconds;
        self.now
    }

    /// The machine gets another TPM, which counts from there.
    pub fn other_tpm(&mut self, epoch: u8, counter: u64) {
        self.epoch = Epoch::new([epoch; 16]);
        self.counter = Fake::new(counter);
        self.first = counter + 1;
    }

    /// What the initramfs does.
    pub fn initramfs(&mut self) -> u64 {
        let boot = self.counter.read().unwrap() + 1;
        let seed = self.keys.boot(self.epoch, boot);
        let claim = Claim {
            epoch: self.epoch,
            boot,
            first: self.first,
            key: seed.public(),
        };
        let certificate = Certificate::issue(self.keys.root(), claim);
        fs::create_dir_all(self.log().join(BOOTS)).unwrap();
        fs::write(
            self.log().join(BOOTS).join(boot_file(self.epoch, boot)),
            certificate.to_hex(),
        )
        .unwrap();
        self.counter.increment().unwrap();
        let seal = SealFile {
            boot,
            seed,
            next: None,
            certificate,
            root_public: self.keys.root().public(),
            anchor_auth: (*self.keys.anchor_auth()).into(),
        };
        fs::write(self.seal(), &*seal.to_json().unwrap()).unwrap();
        boot
    }

    pub fn open_on<Medium: Disk>(&mut self, disk: Medium) -> Store<Medium> {
        let secret = Secret::read(&self.seal()).unwrap();
        let anchor = Some(Box::new(self.counter.clone()) as Box<dyn Anchor>);
        let stamp = self.pass(1000);
        Store::open(disk, self.settings, Some(secret), anchor, stamp).unwrap()
    }

    pub fn open(&mut self) -> Store<Folder> {
        self.open_on(self.disk())
    }

    pub fn verify(&mut self) -> Report {
        let counter = self.counter.read().unwrap();
        let mut verifier = Verifier::new(Some(self.keys.root().public()), Some(counter));
        for (_, content) in self.disk().certificates().unwrap() {
            verifier.boot_certificate(&content);
        }
        let mut files: Vec<_> = self
            .disk()
            .list()
            .unwrap()
            .into_iter()
            .map(|file| (file.0, file.1))
            .collect();
        order(&mut files);
        for (stream, file) in files {
            verifier.begin(&stream, file).unwrap();
            let path = self.log().join(stream.as_str()).join(file.to_string());
            verifier.push(&fs::read(path).unwrap());
        }
        verifier.finish()
    }

    /// The messages of a stream, oldest first.
    pub fn messages(&self, stream: &str) -> Vec<String> {
        let mut files: Vec<_> = self.disk().list().unwrap();
        files.retain(|file| file.0.as_str() == stream);
        files.sort_by_key(|file| file.1);
        let mut messages = Vec::new();
        for file in files {
            let path = self.log().join(stream).join(file.1.to_string());
            for line in fs::read(path).unwrap().split(|byte| *byte == b'\n') {
                if let Ok(line) = Line::parse(line)
                    && let Some(entry) = Record::parse(line.json).unwrap().entry
                {
                    messages.push(entry.message);
                }
            }
        }
        messages
    }
}

pub fn name(text: &str) -> StreamName {
    StreamName::new(text).unwrap()
}

pub fn entry(message: &str) -> Entry {
    Said::new(Priority::INFORMATION, message.to_owned()).by(Source {
        kind: Kind::Output,
        name: "test".to_owned(),
        uid: Some(501),
        pid: None,
    })
}

pub fn text(report: &Report) -> String {
    report
        .problems
        .iter()
        .chain(&report.notes)
        .map(|finding| format!("{finding}\n"))
        .collect()
}
