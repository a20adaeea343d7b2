//! Verification of everything on the disk, as it was when it was asked for.

use bastide_ipc::log::{Finding, Verdict, Verified};
use bastide_ipc::message::Reply;
use bastide_ipc::standard;
use bastide_log_format::key::PublicKey;
use bastide_log_format::name::BOOTS;
use bastide_log_format::verify::{self, Report, Verifier, order};

use crate::disk::Disk;
use crate::store::Store;

use super::{Piece, Progress, Reader, Snapshot};

/// Bytes of a slice: some milliseconds, signatures included.
const SLICE: usize = 64 * 1024;

/// Findings of a kind in the answer, which must fit in a message.
const MOST: usize = 80;

/// The job.
pub struct Verify {
    verifier: Option<Verifier>,
    reader: Reader,
    bytes: Vec<u8>,
    file: Option<Snapshot>,
    root: Option<PublicKey>,
    lost: Vec<Finding>,
}

impl Verify {
    /// Begins, with everything as it is now.
    #[must_use]
    pub fn new<Medium: Disk>(
        store: &Store<Medium>,
        root: Option<PublicKey>,
        counter: Option<u64>,
    ) -> Self {
        let mut verifier = Verifier::new(root, counter);
        let mut lost = Vec::new();
        match store.disk().certificates() {
            Ok(certificates) => {
                for (_, content) in certificates {
                    verifier.boot_certificate(&content);
                }
            }
            Err(error) => lost.push(Finding {
                stream: None,
                file: Some(BOOTS.to_owned()),
                line: None,
                seq: None,
                what: format!("the certificates of boots cannot be read: {error}"),
            }),
        }
        Self {
            verifier: Some(verifier),
            reader: Reader::new(in_order(store.snapshot())),
            bytes: vec![0; SLICE],
            file: None,
            root,
            lost,
        }
    }

    pub(super) fn step<Medium: Disk>(&mut self, store: &Store<Medium>) -> Progress {
        let Some(verifier) = &mut self.verifier else {
            return Progress::Done(Reply::empty());
        };
        match self.reader.next(store.disk(), &mut self.bytes) {
            Piece::Bytes(snapshot, offset, count) => {
                if offset == 0
                    && let Err(error) = verifier.begin(&snapshot.stream, snapshot.name)
                {
                    self.lost.push(unread(&snapshot, error.to_string()));
                }
                verifier.push(self.bytes.get(..count).unwrap_or_default());
                self.file = Some(snapshot);
                Progress::More(None)
            }
            Piece::Lost(snapshot) => {
                let why = "the file cannot be read".to_owned();
                self.lost.push(unread(&snapshot, why));
                Progress::More(None)
            }
            Piece::End => {
                let Some(verifier) = self.verifier.take() else {
                    return Progress::Done(Reply::empty());
                };
                let report = verifier.finish();
                let verdict = verdict(report, std::mem::take(&mut self.lost), self.root);
                Progress::Done(
                    Reply::new(&verdict).unwrap_or_else(|_| {
                        Reply::error(standard::INTERFACE, "MethodNotImplemented")
                    }),
                )
            }
        }
    }
}

/// Snapshots in the order in which the verifier takes files.
fn in_order(mut files: Vec<Snapshot>) -> Vec<Snapshot> {
    let mut names: Vec<_> = files
        .iter()
        .map(|file| (file.stream.clone(), file.name))
        .collect();
    order(&mut names);
    files.sort_by_key(|file| {
        names
            .iter()
            .position(|name| name.0 == file.stream && name.1 == file.name)
    });
    files
}

fn unread(snapshot: &Snapshot, what: String) -> Finding {
    Finding {
        stream: Some(snapshot.stream.to_string()),
        file: Some(snapshot.name.to_string()),
        line: None,
        seq: None,
        what,
    }
}

fn verdict(report: Report, lost: Vec<Finding>, root: Option<PublicKey>) -> Verdict {
    let intact = report.is_intact() && lost.is_empty();
    let total = |listed: usize, more: u64| (listed as u64).saturating_add(more);
    let problems = total(report.problems.len() + lost.len(), report.more_problems);
    let notes = total(report.notes.len(), report.more_notes);
    let found = report.problems.iter().map(finding);
    let problem_list: Vec<Finding> = lost.into_iter().chain(found).take(MOST).collect();
    let note_list: Vec<Finding> = report.notes.iter().map(finding).take(MOST).collect();
    Verdict {
        intact,
        more_problems: problems.saturating_sub(problem_list.len() as u64),
        more_notes: notes.saturating_sub(note_list.len() as u64),
        problems: problem_list,
        notes: note_list,
        streams: report
            .streams
            .into_iter()
            .map(|stream| Verified {
                name: stream.name.to_string(),
                records: stream.records,
                first: stream.first,
                last: stream.last,
                chained_only: stream.chained_only,
            })
            .collect(),
        files: report.files,
        bytes: report.bytes,
        boots: report.boots,
        anchors: report.anchors,
        counter: report.counter,
        root_public: root.map_or_else(String::new, |root| root.to_string()),
    }
}

fn finding(found: &verify::Finding) -> Finding {
    Finding {
        stream: found.stream.as_ref().map(ToString::to_string),
        file: found.file.clone(),
        line: found.line,
        seq: found.seq,
        what: found.what.to_string(),
    }
}
