//! The ways in: sockets and devices, read without ever waiting.
//!
//! Who a sender is comes from the kernel, or from PID 1; what it says is parsed by
//! `proto/log`. One turn reads only so much from each way, so that a flood on one keeps
//! nobody else waiting.

mod sender;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use anyhow::{Context, Result};
use bastide_log_format::entry::{Entry, Kind, Priority, Said, Source};
use bastide_log_format::intake::Output;
use bastide_log_format::name::StreamName;
use bastide_log_format::{audit, intake, journal, kernel, syslog};
use bastide_sys::socket::{Received, Sender, peer, receive};
use rustix::fs::{OFlags, SealFlags, fcntl_get_seals, fcntl_getfl, fcntl_setfl};
use rustix::io::{Errno, pread, read};
use rustix::net::sockopt::set_socket_passcred;
use rustix::net::{SocketFlags, accept_with};

use crate::descriptors::Descriptors;

use sender::Senders;

/// Messages of one way read before others have their turn.
const TURN: usize = 256;

/// Connections of PID 1: the present one, and one that a new PID 1 stage replaces.
const CONNECTIONS: usize = 2;

/// Takes what comes in.
pub trait Sink {
    /// A source said something.
    fn say(&mut self, stream: &StreamName, entry: Entry);

    /// The log itself has something to say.
    fn remark(&mut self, priority: Priority, words: String);
}

/// A way in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// PID 1 connects.
    Listener,
    /// A connection of PID 1.
    Intake(usize),
    /// The syslog socket.
    Syslog,
    /// The journal socket.
    Journal,
    /// The kernel's log.
    Kernel,
    /// The kernel's audit.
    Audit,
}

/// All ways in.
pub struct Inputs {
    listener: Option<OwnedFd>,
    connections: Vec<OwnedFd>,
    syslog: Option<OwnedFd>,
    journal: Option<OwnedFd>,
    kernel: Option<OwnedFd>,
    audit: Option<OwnedFd>,
    senders: Senders,
    bytes: Vec<u8>,
    kernel_stream: StreamName,
    audit_stream: StreamName,
    /// The kernel's number of the last record of its log.
    kernel_sequence: Option<u64>,
    /// The user that PID 1 runs as.
    master: u32,
}

impl Inputs {
    /// Prepares the ways in. `kernel_sequence` is the last record of the kernel's log
    /// that is kept already; `master` is the user whose intake counts.
    ///
    /// # Errors
    /// When one of them cannot be prepared.
    pub fn new(
        descriptors: &mut Descriptors,
        kernel_sequence: Option<u64>,
        master: u32,
    ) -> Result<Self> {
        let prepare = |place: &mut Option<OwnedFd>, name: &str, socket: bool| {
            let Some(descriptor) = place.take() else {
                return Ok::<_, anyhow::Error>(None);
            };
            let prepare = || {
                fcntl_setfl(&descriptor, fcntl_getfl(&descriptor)? | OFlags::NONBLOCK)?;
                if socket {
                    set_socket_passcred(&descriptor, true)?;
                }
                Ok::<_, Errno>(())
            };
            prepare().with_context(|| format!("cannot prepare `{name}`"))?;
            Ok(Some(descriptor))
        };
        Ok(Self {
            listener: prepare(&mut descriptors.intake, "intake", false)?,
            connections: Vec::new(),
            syslog: prepare(&mut descriptors.syslog, "syslog", true)?,
            journal: prepare(&mut descriptors.journal, "journal", true)?,
            kernel: prepare(&mut descriptors.kernel, "kernel", false)?,
            audit: prepare(&mut descriptors.audit, "audit", false)?,
            senders: Senders::new()?,
            bytes: vec![0; journal::LONGEST],
            kernel_stream: StreamName::new("kernel")?,
            audit_stream: StreamName::new("audit")?,
            kernel_sequence,
            master,
        })
    }

    /// What to wait for.
    pub fn waiting(&self) -> impl Iterator<Item = (Way, BorrowedFd<'_>)> {
        fn one(way: Way, descriptor: &Option<OwnedFd>) -> Option<(Way, BorrowedFd<'_>)> {
            descriptor
                .as_ref()
                .map(|descriptor| (way, descriptor.as_fd()))
        }
        let connections = self.connections.iter().enumerate();
        [
            one(Way::Kernel, &self.kernel),
            one(Way::Audit, &self.audit),
            one(Way::Listener, &self.listener),
            one(Way::Syslog, &self.syslog),
            one(Way::Journal, &self.journal),
        ]
        .into_iter()
        .flatten()
        .chain(connections.map(|(index, socket)| (Way::Intake(index), socket.as_fd())))
    }

    /// Reads from a way that has something.
    pub fn read(&mut self, way: Way, sink: &mut impl Sink) {
        match way {
            Way::Listener => self.accept(sink),
            Way::Intake(index) => self.read_intake(index, sink),
            Way::Syslog => self.read_syslog(sink),
            Way::Journal => self.read_journal(sink),
            Way::Kernel => self.read_kernel(sink),
            Way::Audit => self.read_audit(sink),
        }
    }

    fn accept(&mut self, sink: &mut impl Sink) {
        let Some(listener) = &self.listener else {
            return;
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let Ok(socket) = accept_with(listener, flags) else {
            return;
        };
        let Ok(peer) = peer(socket.as_fd()) else {
            return;
        };
        if !is_master(&peer, self.master) {
            let uid = peer.uid;
            let words = format!("user {uid} tried to pass for PID 1 on the intake");
            return sink.remark(Priority::WARNING, words);
        }
        if self.connections.len() >= CONNECTIONS {
            self.connections.remove(0);
        }
        self.connections.push(socket);
    }

    fn read_intake(&mut self, index: usize, sink: &mut impl Sink) {
        for _ in 0..TURN {
            let Some(socket) = self.connections.get(index) else {
                return;
            };
            let received = match next(socket, &mut self.bytes) {
                Ok(Some(received)) if received.length > 0 => received,
                Ok(None) => return,
                _ => {
                    self.connections.remove(index);
                    return;
                }
            };
            let bytes = self.bytes.get(..received.length.min(intake::LONGEST));
            match Output::parse(bytes.unwrap_or_default()) {
                Ok(output) => {
                    let stream = output.service.clone();
                    let (source, said) = output.into_said();
                    sink.say(&stream, said.by(source));
                }
                Err(error) => sink.remark(Priority::ERROR, format!("intake: {error}")),
            }
        }
    }

    fn read_syslog(&mut self, sink: &mut impl Sink) {
        for _ in 0..TURN {
            let Some(socket) = &self.syslog else {
                return;
            };
            let received = match next(socket, &mut self.bytes) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    self.syslog = None;
                    return sink.remark(Priority::ERROR, format!("syslog: {error}"));
                }
            };
            let mut said = syslog::parse(self.bytes.get(..received.length).unwrap_or_default());
            said.cut |= received.cut;
            let (stream, source) = self.senders.of(Kind::Syslog, received.sender.as_ref());
            sink.say(&stream, said.by(source));
        }
    }

    fn read_journal(&mut self, sink: &mut impl Sink) {
        for _ in 0..TURN {
            let Some(socket) = &self.journal else {
                return;
            };
            let mut received = match next(socket, &mut self.bytes) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) => {
                    self.journal = None;
                    return sink.remark(Priority::ERROR, format!("journal: {error}"));
                }
            };
            let (stream, source) = self.senders.of(Kind::Journal, received.sender.as_ref());
            let mut length = received.length;
            if length == 0
                && let Some(file) = received.file.take()
            {
                match read_sealed(&file, &mut self.bytes) {
                    Ok(bytes) => length = bytes,
                    Err(why) => {
                        let words = format!("a journal message in a file is refused: {why}");
                        let said = Said::new(Priority::WARNING, words);
                        sink.say(&stream, said.by(source));
                        continue;
                    }
                }
            }
            let bytes = self.bytes.get(..length).unwrap_or_default();
            let parsed = journal::parse(bytes, |said| sink.say(&stream, said.by(source.clone())));
            if let Err(error) = parsed {
                let said = Said::new(Priority::WARNING, error.to_string());
                sink.say(&stream, said.by(source));
            }
        }
    }

    fn read_kernel(&mut self, sink: &mut impl Sink) {
        let source = Source {
            kind: Kind::Kernel,
            name: "kernel".to_owned(),
            uid: None,
            pid: None,
        };
        for _ in 0..TURN {
            let Some(device) = &self.kernel else {
                return;
            };
            let room = self.bytes.get_mut(..kernel::LONGEST).unwrap_or_default();
            let length = match read(device, room) {
                Ok(0) | Err(Errno::AGAIN) => return,
                Ok(length) => length,
                Err(Errno::INTR) => continue,
                // The kernel wrote over what had not been read; the next number says
                // how much.
                Err(Errno::PIPE) => continue,
                Err(error) => {
                    self.kernel = None;
                    return sink.remark(Priority::ERROR, format!("kernel log: {error}"));
                }
            };
            let Ok(record) = kernel::parse(self.bytes.get(..length).unwrap_or_default()) else {
                sink.remark(
                    Priority::WARNING,
                    "kernel log: a record is not understood".to_owned(),
                );
                continue;
            };
            if self
                .kernel_sequence
                .is_some_and(|last| record.sequence <= last)
            {
                continue;
            }
            let before = self.kernel_sequence.replace(record.sequence);
            // The kernel counts from 0; what went before the log read anything is lost too.
            let expected = before.map_or(0, |last| last.saturating_add(1));
            let lost = record.sequence.saturating_sub(expected);
            if lost > 0 {
                let words = format!("{lost} records of the kernel's log were lost");
                let said = Said::new(Priority::WARNING, words);
                sink.say(&self.kernel_stream, said.by(source.clone()));
            }
            sink.say(&self.kernel_stream, record.said.by(source.clone()));
        }
    }

    fn read_audit(&mut self, sink: &mut impl Sink) {
        let source = Source {
            kind: Kind::Audit,
            name: "audit".to_owned(),
            uid: None,
            pid: None,
        };
        for _ in 0..TURN {
            let Some(socket) = &self.audit else {
                return;
            };
            let received = match next(socket, &mut self.bytes) {
                Ok(Some(received)) => received,
                Ok(None) => return,
                Err(error) if error.raw_os_error() == Some(Errno::NOBUFS.raw_os_error()) => {
                    let said = Said::new(Priority::WARNING, "audit records were lost".to_owned());
                    sink.say(&self.audit_stream, said.by(source.clone()));
                    continue;
                }
                Err(error) => {
                    self.audit = None;
                    return sink.remark(Priority::ERROR, format!("audit: {error}"));
                }
            };
            // Only the kernel's own port is 0.
            if received.port != Some(0) {
                continue;
            }
            match audit::parse(self.bytes.get(..received.length).unwrap_or_default()) {
                Ok(Some(said)) => sink.say(&self.audit_stream, said.by(source.clone())),
                Ok(None) => {}
                Err(error) => sink.remark(Priority::WARNING, format!("audit: {error}")),
            }
        }
    }
}

/// Whether a peer is PID 1: of its user, and the first process, which in a process
/// namespace of our own shows as none.
fn is_master(peer: &Sender, master: u32) -> bool {
    peer.uid == master && (master != 0 || peer.pid.is_none_or(|process| process == 1))
}

/// The next message; `None` when there is none.
fn next(socket: &OwnedFd, bytes: &mut [u8]) -> io::Result<Option<Received>> {
    loop {
        match receive(socket.as_fd(), bytes) {
            Ok(received) => return Ok(Some(received)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
            Err(error) => return Err(error),
        }
    }
}

/// Reads a sealed file in memory: nobody can change it any more, and reading it never
/// waits for anyone. Any other file could do both.
fn read_sealed(file: &OwnedFd, bytes: &mut [u8]) -> Result<usize, &'static str> {
    let wanted = SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE;
    let seals = fcntl_get_seals(file).map_err(|_| "it is no file in memory")?;
    if !seals.contains(wanted) {
        return Err("it is not sealed");
    }
    let mut length = 0;
    loop {
        let rest = bytes.get_mut(length..).unwrap_or_default();
        if rest.is_empty() {
            let mut more = [0];
            return match pread(file, &mut more, length as u64) {
                Ok(0) => Ok(length),
                _ => Err("it is too long"),
            };
        }
        match pread(file, rest, length as u64) {
            Ok(0) => return Ok(length),
            Ok(count) => length += count,
            Err(Errno::INTR) => {}
            Err(_) => return Err("it cannot be read"),
        }
    }
}
