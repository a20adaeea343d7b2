//! The guest's TPM: one swtpm process with a state directory of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{Owned, bound_to_us};
use crate::machine::MachineError;

/// The emulator's log in the directory of a start's records.
pub(crate) const LOG: &str = "tpm.log";

/// The log level at which swtpm writes every byte that it reads and writes.
const TRACE_LEVEL: u32 = 20;

/// A running TPM emulator.
#[derive(Debug)]
pub(crate) struct Tpm {
    process: Owned,
    /// Where QEMU connects.
    pub(crate) socket: PathBuf,
}

impl Tpm {
    /// Starts swtpm on the state in `state` (made if missing), its socket in `run`,
    /// its log in `record`; with `trace` the log holds every command and response.
    pub(crate) fn start(
        state: &Path,
        run: &Path,
        record: &Path,
        trace: bool,
    ) -> Result<Self, MachineError> {
        fs::create_dir_all(state).map_err(|source| MachineError::File {
            path: state.to_owned(),
            source,
        })?;
        let socket = run.join("tpm");
        let log = record.join(LOG);
        // swtpm goes on writing where an earlier start of the machine ended.
        match fs::remove_file(&log) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(MachineError::File { path: log, source });
            }
            _ => {}
        }
        let level = if trace { TRACE_LEVEL } else { 1 };
        let mut process = bound_to_us("swtpm")
            .args(["socket", "--tpm2", "--terminate"])
            .arg("--tpmstate")
            .arg(format!("dir={}", state.display()))
            .arg("--ctrl")
            .arg(format!("type=unixio,path={}", socket.display()))
            .arg("--log")
            .arg(format!("file={},level={level}", log.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map(Owned)
            .map_err(|source| MachineError::Spawn {
                program: "swtpm",
                source,
            })?;
        let patience = Instant::now() + Duration::from_secs(20);
        while !socket.exists() {
            let ended = process.0.try_wait().ok().flatten().is_some();
            if ended || Instant::now() > patience {
                let log = fs::read_to_string(&log).unwrap_or_default();
                return Err(MachineError::Tpm { log });
            }
            thread::sleep(Duration::from_millis(5));
        }
        Ok(Self { process, socket })
    }

    /// The process, for a report.
    pub(crate) fn id(&self) -> u32 {
        self.process.0.id()
    }
}
