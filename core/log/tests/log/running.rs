//! The log as it runs, fed and asked by way of its sockets.

use std::fs;
use std::io::{IoSlice, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::path::PathBuf;

use base64::Engine as _;
use bastide_ipc::codec::Decoder;
use bastide_ipc::log::{Entries, Entry, Method, Piece, Status, Verdict};
use bastide_ipc::message::Reply;
use bastide_log::anchor::Anchor;
use bastide_log::callers::Callers;
use bastide_log::daemon::{Daemon, Start};
use bastide_log::descriptors::Descriptors;
use bastide_log::disk::Folder;
use bastide_log::notify::Notifier;
use bastide_log::secret::Secret;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create};
use rustix::net::{
    AddressFamily, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, bind, connect, listen, sendmsg, socket_with,
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::bench::Machine;

struct Running {
    machine: Machine,
    daemon: Daemon<Folder>,
    kernel: UnixDatagram,
    folder: PathBuf,
}

fn sequential() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

impl Running {
    fn new(methods: &[Method]) -> Self {
        Self::begin(methods, |_| {})
    }

    fn begin(methods: &[Method], change: impl FnOnce(&mut Start<Folder>)) -> Self {
        let mut machine = Machine::new();
        machine.initramfs();
        let folder = machine.log().parent().unwrap().to_owned();
        let (device, kernel) = UnixDatagram::pair().unwrap();
        let intake = sequential();
        let address = SocketAddrUnix::new(folder.join("intake")).unwrap();
        bind(&intake, &address).unwrap();
        listen(&intake, 4).unwrap();
        let descriptors = Descriptors {
            intake: Some(intake),
            syslog: Some(UnixDatagram::bind(folder.join("syslog")).unwrap().into()),
            journal: Some(UnixDatagram::bind(folder.join("journal")).unwrap().into()),
            kernel: Some(device.into()),
            audit: None,
            bus: Some(UnixListener::bind(folder.join("bus")).unwrap().into()),
        };
        let uid = rustix::process::getuid().as_raw();
        let mut start = Start {
            descriptors,
            notifier: Notifier::new().unwrap(),
            disk: machine.disk(),
            settings: machine.settings,
            secret: Secret::read(&machine.seal()),
            anchor: Ok(Box::new(machine.counter.clone()) as Box<dyn Anchor>),
            callers: Ok(Callers::default().with(uid, methods)),
            // Not root, so that the process of this test passes for PID 1.
            master: if uid == 0 { 0 } else { uid },
        };
        change(&mut start);
        let daemon = Daemon::begin(start).unwrap();
        Self {
            machine,
            daemon,
            kernel,
            folder,
        }
    }

    fn connect(&mut self) -> UnixStream {
        let stream = UnixStream::connect(self.folder.join("bus")).unwrap();
        stream.set_nonblocking(true).unwrap();
        stream
    }

    /// The next reply on a connection.
    fn reply(&mut self, stream: &mut UnixStream, decoder: &mut Decoder) -> Vec<u8> {
        for _ in 0..10_000 {
            if let Some(message) = decoder.next_message().unwrap() {
                return message;
            }
            let mut bytes = [0; 65536];
            match stream.read(&mut bytes) {
                Ok(0) => panic!("hung up"),
                Ok(count) => decoder.push(&bytes[..count]),
                Err(_) => self.daemon.turn().unwrap(),
            }
        }
        panic!("no reply");
    }

    fn ask<Content: DeserializeOwned>(
        &mut self,
        method: &str,
        parameters: serde_json::Value,
    ) -> Content {
        let mut stream = self.connect();
        let call = json!({"method": format!("org.bastide.Log.{method}"), "parameters": parameters});
        stream.write_all(format!("{call}\0").as_bytes()).unwrap();
        let reply = self.reply(&mut stream, &mut Decoder::default());
        Reply::parse(&reply).unwrap_or_else(|error| panic!("{error:?}"))
    }

    fn entries(&mut self, parameters: serde_json::Value) -> Vec<Entry> {
        self.ask::<Entries>("Query", parameters).entries
    }
}

fn messages(entries: &[Entry]) -> Vec<&str> {
    entries.iter().map(|entry| entry.message.as_str()).collect()
}

#[test]
fn every_way_in_is_read_and_its_sender_named() {
    let mut running = Running::new(&Method::ALL);
    let client = UnixDatagram::unbound().unwrap();
    let uid = rustix::process::getuid().as_raw();
    client
        .send_to(
            b"<11>Nov  4 16:02:11 tool[9]: by syslog",
            running.folder.join("syslog"),
        )
        .unwrap();
    let journal = running.folder.join("journal");
    client
        .send_to(b"MESSAGE=by journal\nPRIORITY=3\n_UID=7\n", &journal)
        .unwrap();
    running.kernel.send(b"6,1,5,-;first line").unwrap();
    running
        .kernel
        .send(b"4,4,9,-;later line\n SUBSYSTEM=pci\n")
        .unwrap();

    // Too long for a datagram: a sealed file, and one that is not.
    for seals in [
        SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE,
        SealFlags::empty(),
    ] {
        let flags = MemfdFlags::ALLOW_SEALING | MemfdFlags::CLOEXEC;
        let mut file = fs::File::from(memfd_create("journal", flags).unwrap());
        file.write_all(b"MESSAGE=by file\n").unwrap();
        fcntl_add_seals(&file, seals).unwrap();
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(&journal).unwrap();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let files = [file.as_fd()];
        assert!(control.push(SendAncillaryMessage::ScmRights(&files)));
        sendmsg(
            &sender,
            &[IoSlice::new(b"")],
            &mut control,
            SendFlags::empty(),
        )
        .unwrap();
    }

    let all = running.entries(json!({"limit": 100}));
    let find = |message: &str| {
        all.iter()
            .find(|entry| entry.message == message)
            .unwrap_or_else(|| panic!("{message}: {all:?}"))
    };
    let syslog = find("by syslog");
    let source = syslog.source.as_ref().unwrap();
    assert_eq!((source.kind.as_str(), source.uid), ("syslog", Some(uid)));
    assert_eq!(
        (source.pid, syslog.stream.as_str()),
        (Some(std::process::id()), "others")
    );
    assert_eq!(find("by journal").priority, 3);
    assert!(find("by journal").fields.is_empty());
    assert_eq!(find("first line").stream, "kernel");
    find("1 records of the kernel's log were lost");
    find("2 records of the kernel's log were lost");
    find("by file");
    find("a journal message in a file is refused: it is not sealed");
    assert!(messages(&running.entries(json!({"source": "kernel", "text": "line"}))).len() == 2);
    assert_eq!(
        running
            .entries(json!({"priority": 3, "source": "others"}))
            .len(),
        2
    );
}

#[test]
fn services_speak_through_pid_1_only() {
    let mut running = Running::new(&Method::ALL);
    let socket = sequential();
    connect(
        &socket,
        &SocketAddrUnix::new(running.folder.join("intake")).unwrap(),
    )
    .unwrap();
    let line = br#"{"service":"console-serial","uid":501,"pid":77,"line":"<4>hello"}"#;
    rustix::net::send(&socket, line, SendFlags::empty()).unwrap();
    rustix::net::send(&socket, b"nonsense", SendFlags::empty()).unwrap();
    running.daemon.turn().unwrap();
    running.daemon.turn().unwrap();
    let all = running.entries(json!({"source": "console-serial"}));
    if rustix::process::getuid().is_root() {
        // This process is root, but not the first one.
        assert!(all.is_empty());
        let own = running.entries(json!({"source": "log", "text": "tried to pass"}));
        assert_eq!(own.len(), 1, "{own:?}");
    } else {
        assert_eq!((messages(&all), all[0].priority), (vec!["hello"], 4));
    }
}

#[test]
fn the_log_is_verified_exported_and_followed() {
    let mut running = Running::new(&Method::ALL);
    for number in 0..300 {
        running
            .kernel
            .send(format!("6,{number},5,-;line {number}").as_bytes())
            .unwrap();
        if number % 50 == 0 {
            running.daemon.turn().unwrap();
        }
    }
    let verdict: Verdict = running.ask("Verify", json!({}));
    assert!(verdict.intact, "{verdict:?}");
    assert_eq!(
        verdict.root_public,
        running.machine.keys.root().public().to_string()
    );
    let status: Status = running.ask("Status", json!({}));
    assert_eq!(status.anchor.map(|anchor| anchor.counter), Some(9));
    let newest = running.entries(json!({"source": "kernel", "newest": true, "limit": 3}));
    assert_eq!(messages(&newest), ["line 297", "line 298", "line 299"]);
    let oldest = running.entries(json!({"source": "kernel", "limit": 2}));
    assert_eq!(messages(&oldest), ["line 0", "line 1"]);

    // All of it, in several replies.
    let mut stream = running.connect();
    let mut decoder = Decoder::default();
    stream
        .write_all(b"{\"method\":\"org.bastide.Log.Export\",\"more\":true}\0")
        .unwrap();
    let target = tempfile::tempdir().unwrap();
    loop {
        let reply = running.reply(&mut stream, &mut decoder);
        let piece: Piece = Reply::parse(&reply).unwrap();
        let Some(file) = piece.file else {
            assert!(piece.root_public.is_some() && piece.counter == Some(9));
            break;
        };
        let path = target.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut open = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        assert_eq!(Some(open.metadata().unwrap().len()), piece.offset);
        let content = piece.content.unwrap();
        open.write_all(
            &base64::engine::general_purpose::STANDARD
                .decode(content)
                .unwrap(),
        )
        .unwrap();
    }
    let exported = fs::read_to_string(target.path().join("kernel/0000000008-000001.log")).unwrap();
    assert!(exported.contains("line 299"));

    // What comes later as well.
    stream.write_all(b"{\"method\":\"org.bastide.Log.Query\",\"more\":true,\"parameters\":{\"source\":\"kernel\",\"follow\":true,\"text\":\"line\"}}\0").unwrap();
    let mut seen = 0;
    while seen < 300 {
        let reply = running.reply(&mut stream, &mut decoder);
        seen += Reply::parse::<Entries>(&reply).unwrap().entries.len();
    }
    running.kernel.send(b"6,300,5,-;line of later").unwrap();
    let reply = running.reply(&mut stream, &mut decoder);
    let later = Reply::parse::<Entries>(&reply).unwrap().entries;
    assert_eq!(messages(&later), ["line of later"]);

    running.daemon.finish();
    assert!(running.machine.verify().is_intact() && running.machine.verify().closed);
}

#[test]
fn who_may_not_ask_gets_nothing() {
    let mut running = Running::new(&[Method::Status]);
    let _: Status = running.ask("Status", json!({}));
    let mut stream = running.connect();
    stream
        .write_all(b"{\"method\":\"org.bastide.Log.Query\"}\0")
        .unwrap();
    let reply = running.reply(&mut stream, &mut Decoder::default());
    assert!(
        String::from_utf8(reply)
            .unwrap()
            .contains("PermissionDenied")
    );
    let mut running = Running::new(&[]);
    running.machine.pass(1);
    let mut stream = running.connect();
    let reply = running.reply(&mut stream, &mut Decoder::default());
    assert!(
        String::from_utf8(reply)
            .unwrap()
            .contains("PermissionDenied")
    );
}

#[test]
fn without_evidence_there_is_no_verdict_that_all_is_well() {
    // What a machine looks like whose cell hides the seal file.
    let mut running = Running::begin(&Method::ALL, |start| {
        let hidden = std::path::Path::new("/nowhere/seal");
        start.secret = Secret::read(hidden);
        start.anchor = Err(anyhow::anyhow!("its authorisation is not known"));
    });
    let verdict: Verdict = running.ask("Verify", json!({}));
    assert!(!verdict.intact, "{verdict:?}");
    for expected in ["nothing shows who sealed this log", "TPM's counter"] {
        let found = verdict
            .problems
            .iter()
            .any(|found| found.what.contains(expected));
        assert!(found, "{expected}: {verdict:?}");
    }
    let grave = running.entries(json!({"source": "log", "priority": 2}));
    assert!(
        messages(&grave)
            .iter()
            .any(|words| words.contains("not certified") && words.contains("/nowhere/seal")),
        "{grave:?}"
    );

    // The counter alone is missed as well.
    let mut running = Running::begin(&Method::ALL, |start| {
        start.anchor = Err(anyhow::anyhow!("no TPM"));
    });
    let verdict: Verdict = running.ask("Verify", json!({}));
    assert!(!verdict.intact, "{verdict:?}");
}

#[test]
fn what_cannot_be_read_is_no_whole_log() {
    let mut running = Running::new(&Method::ALL);
    running.kernel.send(b"6,0,5,-;line").unwrap();
    running.daemon.turn().unwrap();
    let boots = running.machine.log().join("boots");
    let kernel = "kernel/0000000008-000001.log";
    let path = running.machine.log().join(kernel);
    let spoil = |running: &mut Running, missing: &str| {
        let verdict: Verdict = running.ask("Verify", json!({}));
        let found = |finding: &bastide_ipc::log::Finding| {
            let file = finding.file.as_deref().unwrap_or_default();
            missing.ends_with(file) && finding.what.contains("cannot be read")
        };
        assert!(
            !verdict.intact && verdict.problems.iter().any(found),
            "{verdict:?}"
        );
        let mut stream = running.connect();
        stream
            .write_all(b"{\"method\":\"org.bastide.Log.Export\",\"more\":true}\0")
            .unwrap();
        let mut decoder = Decoder::default();
        loop {
            let reply = running.reply(&mut stream, &mut decoder);
            let text = String::from_utf8(reply).unwrap();
            if text.contains("org.bastide.Log.Unreadable") {
                assert!(text.contains(missing), "{text}");
                break;
            }
            assert!(text.contains("\"continues\":true"), "{text}");
        }
    };
    // The certificates of boots.
    fs::remove_dir(&boots).unwrap();
    fs::write(&boots, "").unwrap();
    spoil(&mut running, "boots");
    fs::remove_file(&boots).unwrap();
    // A file that is shorter than what was written, and one that is gone.
    fs::OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(10)
        .unwrap();
    spoil(&mut running, kernel);
    fs::remove_file(&path).unwrap();
    spoil(&mut running, kernel);
}
