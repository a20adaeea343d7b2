//! The Varlink socket of `org.bastide.Init`.
//!
//! Nothing here waits: what cannot be read or written now is tried when poll(2)
//! says so. A peer can neither make us hold much nor keep others out: numbers of
//! connections, sizes and times are bounded, each user's share as well.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context, Result};
use bastide_ipc::codec::{Decoder, encode};
use bastide_ipc::message::Call;
use rustix::event::PollFlags;
use rustix::net::sockopt::socket_peercred;

use crate::answer::{Answer, denied};
use crate::supervisor::{Moment, Stop};

/// Connections in all.
const CONNECTIONS: usize = 64;

/// Connections of one user.
const CONNECTIONS_OF_USER: usize = 8;

/// How long a connection may be silent.
const SILENCE: Moment = Moment::from_seconds(60);

/// Bytes to a peer that does not read them.
const UNREAD: usize = 256 * 1024;

/// Bytes read from one connection before others have their turn.
const READ: usize = 4096;

/// The socket and its connections.
#[derive(Debug)]
pub struct Bus {
    listener: UnixListener,
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

#[derive(Debug)]
struct Connection {
    stream: UnixStream,
    uid: u32,
    decoder: Decoder,
    outgoing: Vec<u8>,
    last: Moment,
    /// Nothing more is read; it ends once everything is written.
    ending: bool,
}

impl Bus {
    /// Makes the socket. Every user may connect; what it may call is asked for
    /// each call.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn bind(path: &Path) -> Result<Self> {
        let bind = || -> std::io::Result<UnixListener> {
            let listener = UnixListener::bind(path)?;
            listener.set_nonblocking(true)?;
            fs::set_permissions(path, Permissions::from_mode(0o666))?;
            Ok(listener)
        };
        let listener = bind().with_context(|| format!("cannot listen on {}", path.display()))?;
        Ok(Self {
            listener,
            connections: BTreeMap::new(),
            next: 0,
        })
    }

    /// The listening socket.
    pub fn listener(&self) -> BorrowedFd<'_> {
        self.listener.as_fd()
    }

    /// The connections and what each waits for.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, BorrowedFd<'_>, PollFlags)> {
        self.connections.iter().map(|(id, connection)| {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::IN, connection.reads());
            flags.set(PollFlags::OUT, !connection.outgoing.is_empty());
            (*id, connection.stream.as_fd(), flags)
        })
    }

    /// When [`Bus::end_silent`] is to be called next.
    pub fn next_deadline(&self) -> Option<Moment> {
        let ends = |connection: &Connection| connection.last.plus(SILENCE);
        self.connections.values().map(ends).min()
    }

    /// Ends connections that have been silent for too long.
    pub fn end_silent(&mut self, now: Moment) {
        self.connections
            .retain(|_, connection| now < connection.last.plus(SILENCE));
    }

    /// Takes new connections; `known` says whether a user may call anything. Who
    /// may not is told so, and nothing it sends is even read.
    pub fn accept(&mut self, now: Moment, known: impl Fn(u32) -> bool) {
        for _ in 0..CONNECTIONS {
            let Ok((stream, _)) = self.listener.accept() else {
                return;
            };
            let Ok(credentials) = socket_peercred(&stream) else {
                continue;
            };
            let uid = credentials.uid.as_raw();
            let same = |connection: &&Connection| connection.uid == uid;
            let of_user = self.connections.values().filter(same).count();
            if of_user >= CONNECTIONS_OF_USER
                || self.connections.len() >= CONNECTIONS
                || stream.set_nonblocking(true).is_err()
            {
                continue;
            }
            let mut connection = Connection {
                stream,
                uid,
                decoder: Decoder::default(),
                outgoing: Vec::new(),
                last: now,
                ending: false,
            };
            if !known(uid) {
                connection.ending = true;
                connection.outgoing = encode(&denied()).unwrap_or_default();
            }
            if connection.write() {
                self.connections.insert(self.next, connection);
                self.next = self.next.wrapping_add(1);
            }
        }
    }

    /// Reads, answers and writes what is possible on a connection, and hands out a
    /// request to stop the machine.
    pub fn serve(
        &mut self,
        id: u64,
        now: Moment,
        answer: impl FnMut(u32, &Call) -> Answer,
    ) -> Option<Stop> {
        let connection = self.connections.get_mut(&id)?;
        connection.last = now;
        let (lives, stop) = connection.serve(answer);
        if !lives {
            self.connections.remove(&id);
        }
        stop
    }
}

impl Connection {
    fn reads(&self) -> bool {
        !self.ending && self.outgoing.len() < UNREAD
    }

    /// `false`: the connection is over.
    fn serve(&mut self, mut answer: impl FnMut(u32, &Call) -> Answer) -> (bool, Option<Stop>) {
        let mut bytes = [0; READ];
        let mut stop = None;
        let mut has_read = false;
        // Ends with no complete message left, unless the peer first has to read what
        // it asked for: nothing may stay behind that poll(2) does not know of.
        while self.reads() && stop.is_none() {
            match self.decoder.next_message() {
                Err(_) => return (false, stop),
                Ok(Some(message)) => {
                    // The Varlink way with a peer that does not speak it is to hang up.
                    let Ok(call) = Call::parse(&message) else {
                        return (false, stop);
                    };
                    let answered = answer(self.uid, &call);
                    stop = answered.stop;
                    if !call.oneway {
                        match encode(&answered.reply) {
                            Ok(reply) => self.outgoing.extend(reply),
                            Err(_) => return (false, stop),
                        }
                    }
                }
                Ok(None) if has_read => break,
                Ok(None) => {
                    has_read = true;
                    match self.stream.read(&mut bytes) {
                        Ok(0) => self.ending = true,
                        Ok(count) => self.decoder.push(bytes.get(..count).unwrap_or_default()),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return (false, stop),
                    }
                }
            }
        }
        (self.write(), stop)
    }

    /// Writes what the peer takes; `false`: the connection is over.
    fn write(&mut self) -> bool {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(count) => drop(self.outgoing.drain(..count)),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        !self.ending
    }
}

#[cfg(test)]
mod tests {
    use bastide_ipc::message::Reply;

    use super::*;

    struct Bench {
        bus: Bus,
        path: std::path::PathBuf,
        _folder: tempfile::TempDir,
    }

    fn bench() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("bus");
        Bench {
            bus: Bus::bind(&path).expect("bound"),
            path,
            _folder: folder,
        }
    }

    impl Bench {
        fn connect(&mut self, known: bool) -> UnixStream {
            let stream = UnixStream::connect(&self.path).expect("connected");
            stream.set_nonblocking(true).expect("set");
            self.bus.accept(Moment::default(), |_| known);
            stream
        }

        fn serve(&mut self) -> Option<Stop> {
            let ids: Vec<u64> = self.bus.waiting().map(|(id, ..)| id).collect();
            ids.into_iter()
                .filter_map(|id| {
                    self.bus.serve(id, Moment::default(), |_, call| Answer {
                        reply: Reply::empty(),
                        stop: call.method.ends_with("Off").then_some(Stop::PowerOff),
                    })
                })
                .next()
        }
    }

    fn read(stream: &mut UnixStream) -> Vec<u8> {
        let mut bytes = Vec::new();
        // Non-blocking: ends with an error once nothing is left, which is the point.
        match stream.read_to_end(&mut bytes) {
            Ok(_) | Err(_) => bytes,
        }
    }

    #[test]
    fn calls_are_answered_one_by_one() {
        let mut bench = bench();
        let mut stream = bench.connect(true);
        stream
            .write_all(b"{\"method\":\"a.b.C\"}\0{\"method\":\"a.b.C\",\"oneway\":true}\0{\"method\":\"a.b.Off\"}\0{\"meth")
            .expect("written");
        assert_eq!(bench.serve(), Some(Stop::PowerOff));
        let reply = b"{\"parameters\":{}}\0";
        assert_eq!(read(&mut stream), [reply, &reply[..]].concat());
        drop(stream);
        bench.serve();
        assert_eq!(bench.bus.waiting().count(), 0);
    }

    #[test]
    fn strangers_are_told_and_not_read() {
        let mut bench = bench();
        let mut stream = bench.connect(false);
        let text = String::from_utf8(read(&mut stream)).expect("text");
        assert!(text.contains("PermissionDenied"), "{text}");
        assert_eq!(bench.bus.waiting().count(), 0);
    }

    #[test]
    fn nonsense_ends_the_connection_and_nothing_else() {
        for nonsense in [
            &b"hello\0"[..],
            b"\0",
            b"{}\0",
            b"\xff\xff\0",
            &[b'x'; 80_000],
        ] {
            let mut bench = bench();
            let mut stream = bench.connect(true);
            let other = bench.connect(true);
            // More than the socket takes at once: write and serve in turns.
            let mut rest = nonsense;
            for _ in 0..200 {
                if let Ok(count) = stream.write(rest) {
                    rest = &rest[count..];
                }
                bench.serve();
            }
            assert_eq!(bench.bus.waiting().count(), 1, "{:?}", nonsense.first());
            drop(other);
        }
    }

    #[test]
    fn one_user_cannot_take_all_connections() {
        let mut bench = bench();
        let streams: Vec<UnixStream> = (0..20).map(|_| bench.connect(true)).collect();
        assert_eq!(bench.bus.waiting().count(), CONNECTIONS_OF_USER);
        drop(streams);
    }

    #[test]
    fn a_silent_connection_ends() {
        let mut bench = bench();
        let _stream = bench.connect(true);
        assert_eq!(bench.bus.next_deadline(), Some(SILENCE));
        bench.bus.end_silent(Moment::from_seconds(59));
        assert_eq!(bench.bus.waiting().count(), 1);
        bench.bus.end_silent(SILENCE);
        assert_eq!(bench.bus.waiting().count(), 0);
    }

    #[test]
    fn a_peer_that_does_not_read_is_not_read_either() {
        let mut bench = bench();
        let mut stream = bench.connect(true);
        let calls = b"{\"method\":\"a.b.C\"}\0".repeat(500);
        for _ in 0..2000 {
            match stream.write(&calls) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock),
            }
            bench.serve();
        }
        let held: usize = bench
            .bus
            .connections
            .values()
            .map(|connection| connection.outgoing.len())
            .sum();
        assert!(held < UNREAD + 65_536, "{held}");
        drop(stream);
    }
}
