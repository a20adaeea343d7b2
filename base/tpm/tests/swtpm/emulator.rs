//! A TPM to attack: swtpm, one per test, on loopback.

use std::cell::{Cell, RefCell};
use std::io;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

use bastide_tpm::{Stream, Tpm, Transport};
use tempfile::TempDir;

/// Whether a program is there. Tests that need it are skipped where it is not, unless
/// `BASTIDE_TEST_TPM=required` says that it must be.
fn have(program: &str) -> bool {
    let found = Command::new(program)
        .arg("--version")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok();
    let required = std::env::var("BASTIDE_TEST_TPM").is_ok_and(|value| value == "required");
    assert!(found || !required, "{program} is required and missing");
    if !found {
        println!("skipped: {program} is not installed");
    }
    found
}

/// A TPM of its own, ended and removed when dropped.
pub struct Emulator {
    state: TempDir,
    process: Child,
    port: u16,
}

impl Emulator {
    /// Starts a new one; `None` where swtpm or openssl is missing.
    pub fn new() -> Option<Self> {
        if !have("swtpm") || !have("openssl") {
            return None;
        }
        let state = tempfile::tempdir().expect("a directory");
        let (process, port) = start(state.path());
        Some(Self {
            state,
            process,
            port,
        })
    }

    /// Whether tpm2-tools can judge.
    pub fn has_judge() -> bool {
        have("tpm2")
    }

    /// Switches it off and on: PCRs start anew, NV memory stays.
    pub fn reboot(&mut self) {
        self.end();
        (self.process, self.port) = start(self.state.path());
    }

    /// Connects. It serves one at a time, so drop what was connected before.
    pub fn connect(&self) -> Tpm {
        Tpm::over(self.stream())
    }

    /// Connects through somebody on the bus.
    pub fn connect_through(&self, bus: &Rc<Bus>) -> Tpm {
        Tpm::over(Wire {
            stream: self.stream(),
            bus: Rc::clone(bus),
        })
    }

    fn stream(&self) -> Stream<TcpStream> {
        let stream = connect(self.port).expect("swtpm is there");
        stream.set_nodelay(true).expect("a socket");
        Stream::new(stream)
    }

    /// Removes every object and session from its memory: those whose handles somebody
    /// on the bus changed are lost to who made them.
    pub fn forget(&self) {
        let mut stream = self.stream();
        let mut answer = Vec::new();
        let first = [0x8000_0000u32, 0x0200_0000, 0x0300_0000];
        for handle in first
            .iter()
            .flat_map(|first| (0..4).map(move |more| first + more))
        {
            let mut command = [0x80, 1, 0, 0, 0, 14, 0, 0, 0x01, 0x65, 0, 0, 0, 0];
            command[10..].copy_from_slice(&handle.to_be_bytes());
            answer.clear();
            stream.exchange(&command, &mut answer).expect("an answer");
        }
    }

    /// A directory that is gone with it.
    pub fn directory(&self) -> PathBuf {
        self.state.path().to_owned()
    }

    /// Runs a tool of tpm2-tools on it, with the words as arguments, in [`Self::directory`];
    /// gives what it prints.
    pub fn judge(&self, words: &str) -> String {
        let output = self.tool(words);
        assert!(
            output.status.success(),
            "tpm2 {words}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).expect("text")
    }

    /// The same with a tool that must fail; gives what it complains of.
    pub fn refused(&self, words: &str) -> String {
        let output = self.tool(words);
        assert!(!output.status.success(), "tpm2 {words}: was not refused");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    fn tool(&self, words: &str) -> Output {
        Command::new("tpm2")
            .args(words.split_whitespace())
            .env(
                "TPM2TOOLS_TCTI",
                format!("swtpm:host=127.0.0.1,port={}", self.port),
            )
            .current_dir(self.state.path())
            .output()
            .expect("tpm2-tools")
    }

    fn end(&mut self) {
        self.process.kill().expect("swtpm is ours to end");
        self.process.wait().expect("swtpm ended");
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.end();
    }
}

fn start(state: &Path) -> (Child, u16) {
    for _ in 0..20 {
        let port = free_port();
        let mut process = Command::new("swtpm")
            .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
            .arg("--tpmstate")
            .arg(format!("dir={}", state.display()))
            .arg("--server")
            .arg(format!("type=tcp,bindaddr=127.0.0.1,port={port}"))
            // Where tpm2-tools expect it.
            .arg("--ctrl")
            .arg(format!("type=tcp,bindaddr=127.0.0.1,port={}", port + 1))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("swtpm starts");
        if connect(port).is_ok() {
            return (process, port);
        }
        // Somebody else took one of the ports.
        process.kill().expect("ours");
        process.wait().expect("ended");
    }
    panic!("swtpm does not start");
}

/// A port that is free, as is the next.
fn free_port() -> u16 {
    loop {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        if port < u16::MAX && TcpListener::bind(("127.0.0.1", port + 1)).is_ok() {
            return port;
        }
    }
}

fn connect(port: u16) -> io::Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(("127.0.0.1", port)) {
            Err(_) if start.elapsed() < Duration::from_secs(5) => {
                std::thread::sleep(Duration::from_millis(10));
            }
            other => return other,
        }
    }
}

/// Somebody on the bus, who reads every byte and may change one bit.
#[derive(Default)]
pub struct Bus {
    /// Commands and answers since it was last emptied.
    pub heard: RefCell<Vec<(Vec<u8>, Vec<u8>)>>,
    /// Which answer to change from now on, and which bit of it.
    pub flip: Cell<Option<(usize, usize)>>,
}

impl Bus {
    /// The command code of what was heard.
    pub fn command_code(command: &[u8]) -> u32 {
        u32::from_be_bytes(command[6..10].try_into().expect("a code"))
    }
}

struct Wire {
    stream: Stream<TcpStream>,
    bus: Rc<Bus>,
}

impl Transport for Wire {
    fn exchange(&mut self, command: &[u8], answer: &mut Vec<u8>) -> io::Result<()> {
        self.stream.exchange(command, answer)?;
        let mut heard = self.bus.heard.borrow_mut();
        if let Some((number, bit)) = self.bus.flip.get()
            && number == heard.len()
            && let Some(byte) = answer.get_mut(bit / 8)
        {
            *byte ^= 1 << (bit % 8);
        }
        heard.push((command.to_vec(), answer.clone()));
        Ok(())
    }
}
