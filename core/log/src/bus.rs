//! The Varlink socket of `org.bastide.Log`.
//!
//! As PID 1's: nothing waits, and numbers of connections, sizes and times are bounded,
//! each user's share as well. What is more: a call may begin a job, whose replies come
//! as the caller takes them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};

use anyhow::{Context, Result};
use bastide_ipc::codec::{Decoder, encode};
use bastide_ipc::log::busy;
use bastide_ipc::message::Call;
use bastide_sys::socket::peer;
use rustix::event::PollFlags;

use crate::answer::{Answer, denied};
use crate::descriptors::never_wait;
use crate::disk::Disk;
use crate::jobs::{Job, Progress};
use crate::settings::SECOND;
use crate::store::Store;

/// Connections in all.
const CONNECTIONS: usize = 16;

/// Connections of one user.
const CONNECTIONS_OF_USER: usize = 4;

/// Jobs in all.
const JOBS: usize = 4;

/// How long a connection may be silent, or not read, in microseconds.
const SILENCE: u64 = 60 * SECOND;

/// Bytes to a peer that does not read them, after which it gets no more.
const UNREAD: usize = 128 * 1024;

/// Bytes read from one connection before others have their turn.
const READ: usize = 4096;

/// The socket and its connections.
pub struct Bus {
    listener: UnixListener,
    connections: BTreeMap<u64, Connection>,
    next: u64,
}

struct Connection {
    stream: UnixStream,
    uid: u32,
    decoder: Decoder,
    outgoing: Vec<u8>,
    last: u64,
    job: Option<Running>,
    /// A job is done, and calls that came before may wait in the decoder.
    again: bool,
    /// Nothing more is read; it ends once everything is written.
    ending: bool,
}

struct Running {
    job: Job,
    more: bool,
    /// It has nothing to do until something is written.
    waits: bool,
}

impl Bus {
    /// Takes the listening socket over.
    ///
    /// # Errors
    /// When it cannot be prepared.
    pub fn new(listener: OwnedFd) -> Result<Self> {
        let listener = UnixListener::from(listener);
        never_wait(&listener).context("cannot prepare the Varlink socket")?;
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

    /// Whether a job has something to do at once.
    #[must_use]
    pub fn has_work(&self) -> bool {
        self.connections.values().any(|connection| {
            connection.outgoing.len() < UNREAD
                && connection
                    .job
                    .as_ref()
                    .map_or(connection.again, |running| !running.waits)
        })
    }

    /// Connections whose job is done: calls that came before may wait for it.
    #[must_use]
    pub fn again(&self) -> Vec<u64> {
        let again = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.again);
        again.map(|(id, _)| *id).collect()
    }

    /// Whether a job needs every file to stay.
    #[must_use]
    pub fn holds_files(&self) -> bool {
        let jobs = self
            .connections
            .values()
            .filter_map(|connection| connection.job.as_ref());
        jobs.into_iter().any(|running| running.job.holds_files())
    }

    /// Ends connections that have been silent for too long. One that follows may be.
    pub fn end_silent(&mut self, now: u64) {
        self.connections.retain(|_, connection| {
            let follows = connection.job.as_ref().is_some_and(|running| running.waits)
                && connection.outgoing.is_empty();
            follows || now < connection.last.saturating_add(SILENCE)
        });
    }

    /// Takes new connections; `known` says whether a user may call anything. Who may not
    /// is told so, and nothing it sends is even read.
    pub fn accept(&mut self, now: u64, known: impl Fn(u32) -> bool) {
        for _ in 0..CONNECTIONS {
            let Ok((stream, _)) = self.listener.accept() else {
                return;
            };
            let Ok(sender) = peer(stream.as_fd()) else {
                continue;
            };
            let same = |connection: &&Connection| connection.uid == sender.uid;
            let of_user = self.connections.values().filter(same).count();
            if of_user >= CONNECTIONS_OF_USER
                || self.connections.len() >= CONNECTIONS
                || never_wait(&stream).is_err()
            {
                continue;
            }
            let mut connection = Connection {
                stream,
                uid: sender.uid,
                decoder: Decoder::default(),
                outgoing: Vec::new(),
                last: now,
                job: None,
                again: false,
                ending: false,
            };
            if !known(sender.uid) {
                connection.ending = true;
                connection.outgoing = encode(&denied()).unwrap_or_default();
            }
            if connection.write(now) {
                self.connections.insert(self.next, connection);
                self.next = self.next.wrapping_add(1);
            }
        }
    }

    /// Reads, answers and writes what is possible on a connection.
    pub fn serve(&mut self, id: u64, now: u64, answer: impl FnMut(u32, &Call) -> Answer) {
        let jobs = self
            .connections
            .values()
            .filter(|other| other.job.is_some())
            .count();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.serve(now, jobs < JOBS, answer) {
            self.connections.remove(&id);
        }
    }

    /// Does a slice of each job.
    pub fn work<Medium: Disk>(&mut self, now: u64, store: &Store<Medium>) {
        self.connections.retain(|_, connection| {
            connection.work(store);
            connection.write(now)
        });
    }
}

impl Connection {
    fn reads(&self) -> bool {
        // A peer that asks again before its job is done waits; one that follows is only
        // read to see it hang up.
        let follows = self.job.as_ref().is_some_and(|running| running.waits);
        !self.ending && self.outgoing.len() < UNREAD && (self.job.is_none() || follows)
    }

    fn work<Medium: Disk>(&mut self, store: &Store<Medium>) {
        if self.outgoing.len() >= UNREAD {
            return;
        }
        let Some(running) = &mut self.job else {
            return;
        };
        let (reply, over) = match running.job.step(store) {
            Progress::More(reply) => {
                running.waits = false;
                (reply, false)
            }
            Progress::Waiting(reply) => {
                running.waits = true;
                (reply, false)
            }
            Progress::Done(reply) => (Some(reply), true),
        };
        if let Some(mut reply) = reply {
            reply.continues = running.more && !over;
            match encode(&reply) {
                Ok(bytes) => self.outgoing.extend(bytes),
                Err(_) => self.ending = true,
            }
        }
        if over {
            self.job = None;
            self.again = true;
        }
    }

    /// `false`: the connection is over.
    fn serve(
        &mut self,
        now: u64,
        room: bool,
        mut answer: impl FnMut(u32, &Call) -> Answer,
    ) -> bool {
        let mut bytes = [0; READ];
        let mut has_read = false;
        self.again = false;
        // Ends with no complete message left, unless the peer first has to read what
        // it asked for: nothing may stay behind that poll(2) does not know of.
        while self.reads() {
            let message = if self.job.is_some() {
                Ok(None)
            } else {
                self.decoder.next_message()
            };
            match message {
                Err(_) => return false,
                Ok(Some(message)) => {
                    // The Varlink way with a peer that does not speak it is to hang up.
                    let Ok(call) = Call::parse(&message) else {
                        return false;
                    };
                    let reply = match answer(self.uid, &call) {
                        Answer::Reply(reply) => reply,
                        Answer::Job(job) if room && !call.oneway => {
                            self.job = Some(Running {
                                job,
                                more: call.more,
                                waits: false,
                            });
                            break;
                        }
                        Answer::Job(_) => busy(),
                    };
                    if !call.oneway {
                        match encode(&reply) {
                            Ok(reply) => self.outgoing.extend(reply),
                            Err(_) => return false,
                        }
                    }
                }
                Ok(None) if has_read => break,
                Ok(None) => {
                    has_read = true;
                    self.last = now;
                    match self.stream.read(&mut bytes) {
                        Ok(0) if self.job.is_some() => return false,
                        Ok(0) => self.ending = true,
                        Ok(_) if self.job.is_some() => return false,
                        Ok(count) => self.decoder.push(bytes.get(..count).unwrap_or_default()),
                        Err(error) if error.kind() == ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                        Err(_) => return false,
                    }
                }
            }
        }
        self.write(now)
    }

    /// Writes what the peer takes; `false`: the connection is over.
    fn write(&mut self, now: u64) -> bool {
        while !self.outgoing.is_empty() {
            match self.stream.write(&self.outgoing) {
                Ok(count) => {
                    self.last = now;
                    drop(self.outgoing.drain(..count));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(_) => return false,
            }
        }
        !self.ending || self.job.is_some()
    }
}
