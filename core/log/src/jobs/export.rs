//! Every file as it is, for whoever verifies elsewhere.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bastide_ipc::log::{Piece as PieceReply, unreadable};
use bastide_ipc::message::Reply;
use bastide_log_format::key::PublicKey;
use bastide_log_format::name::BOOTS;

use crate::disk::Disk;
use crate::store::Store;

use super::{Piece, Progress, Reader};

/// Bytes of a piece: as much as fits in a message once it is in Base64.
const PIECE: usize = 32 * 1024;

/// The job.
pub struct Export {
    reader: Reader,
    bytes: Vec<u8>,
    /// None when they cannot be read.
    certificates: Option<std::vec::IntoIter<(String, Vec<u8>)>>,
    root: Option<PublicKey>,
    counter: Option<u64>,
}

impl Export {
    /// Begins, with everything as it is now.
    #[must_use]
    pub fn new<Medium: Disk>(
        store: &Store<Medium>,
        root: Option<PublicKey>,
        counter: Option<u64>,
    ) -> Self {
        Self {
            reader: Reader::new(store.snapshot()),
            bytes: vec![0; PIECE],
            certificates: store.disk().certificates().ok().map(Vec::into_iter),
            root,
            counter,
        }
    }

    pub(super) fn step<Medium: Disk>(&mut self, store: &Store<Medium>) -> Progress {
        let Some(certificates) = &mut self.certificates else {
            return Progress::Done(unreadable(BOOTS));
        };
        if let Some((name, content)) = certificates.next() {
            return Progress::More(piece(format!("{BOOTS}/{name}"), 0, &content));
        }
        match self.reader.next(store.disk(), &mut self.bytes) {
            Piece::Bytes(snapshot, offset, count) => {
                let path = format!("{}/{}", snapshot.stream, snapshot.name);
                let bytes = self.bytes.get(..count).unwrap_or_default();
                Progress::More(piece(path, offset, bytes))
            }
            // Without the rest nobody could tell a whole log from a part of one.
            Piece::Lost(snapshot) => {
                let path = format!("{}/{}", snapshot.stream, snapshot.name);
                Progress::Done(unreadable(&path))
            }
            Piece::End => {
                let last = PieceReply {
                    root_public: self.root.map(|root| root.to_string()),
                    counter: self.counter,
                    ..PieceReply::default()
                };
                Progress::Done(Reply::new(&last).unwrap_or_else(|_| Reply::empty()))
            }
        }
    }
}

fn piece(path: String, offset: u64, bytes: &[u8]) -> Option<Reply> {
    let piece = PieceReply {
        file: Some(path),
        offset: Some(offset),
        content: Some(STANDARD.encode(bytes)),
        ..PieceReply::default()
    };
    Reply::new(&piece).ok()
}
