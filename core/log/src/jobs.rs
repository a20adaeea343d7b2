//! What takes longer than an answer: done slice by slice between other things.

mod export;
mod query;
mod verify;

use std::fs::File;
use std::io::{self, Read};

use bastide_ipc::message::Reply;
use bastide_log_format::name::{FileName, StreamName};

use crate::disk::Disk;
use crate::store::Store;

pub use export::Export;
pub use query::QueryJob;
pub use verify::Verify;

/// How a job stands after a slice.
#[derive(Debug)]
pub enum Progress {
    /// There is more to do.
    More(Option<Reply>),
    /// There is nothing to do until something new is written.
    Waiting(Option<Reply>),
    /// It is done.
    Done(Reply),
}

/// A job.
pub enum Job {
    /// Entries that fit filters.
    Query(Box<QueryJob>),
    /// Verification of everything.
    Verify(Box<Verify>),
    /// Every file as it is.
    Export(Box<Export>),
}

impl Job {
    /// Does a slice.
    pub fn step<Medium: Disk>(&mut self, store: &Store<Medium>) -> Progress {
        match self {
            Self::Query(job) => job.step(store),
            Self::Verify(job) => job.step(store),
            Self::Export(job) => job.step(store),
        }
    }

    /// Whether files must stay while it runs.
    #[must_use]
    pub fn holds_files(&self) -> bool {
        !matches!(self, Self::Query(_))
    }
}

/// A file as it was when a job began: what is written later is none of the job's.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// The stream.
    pub stream: StreamName,
    /// The file.
    pub name: FileName,
    /// How much of it was there.
    pub size: u64,
}

/// Reads files one after the other, as they were when it began.
#[derive(Debug)]
struct Reader {
    files: std::vec::IntoIter<Snapshot>,
    open: Option<(Snapshot, File, u64)>,
}

/// What a reader came to.
enum Piece {
    /// Bytes of a file, from an offset on.
    Bytes(Snapshot, u64, usize),
    /// A file that cannot be read (any more).
    Lost(Snapshot),
    /// Nothing more.
    End,
}

impl Reader {
    fn new(files: Vec<Snapshot>) -> Self {
        Self {
            files: files.into_iter(),
            open: None,
        }
    }

    /// The next bytes. A file without any gives a piece of none, so that it is known.
    fn next(&mut self, disk: &impl Disk, bytes: &mut [u8]) -> Piece {
        let (snapshot, file, offset) = match &mut self.open {
            Some(open) => open,
            None => {
                let Some(snapshot) = self.files.next() else {
                    return Piece::End;
                };
                match disk.read(&snapshot.stream, snapshot.name) {
                    Ok(file) => self.open.insert((snapshot, file, 0)),
                    Err(_) => return Piece::Lost(snapshot),
                }
            }
        };
        let left = snapshot.size.saturating_sub(*offset);
        let room = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let at = *offset;
        let count = loop {
            match file.read(bytes.get_mut(..room).unwrap_or_default()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                // Shorter than it was.
                Ok(0) if room > 0 => {
                    let snapshot = snapshot.clone();
                    self.open = None;
                    return Piece::Lost(snapshot);
                }
                Ok(count) => break count,
                Err(_) => {
                    let snapshot = snapshot.clone();
                    self.open = None;
                    return Piece::Lost(snapshot);
                }
            }
        };
        *offset = offset.saturating_add(count as u64);
        let snapshot = snapshot.clone();
        if count == 0 || *offset >= snapshot.size {
            self.open = None;
        }
        Piece::Bytes(snapshot, at, count)
    }
}
