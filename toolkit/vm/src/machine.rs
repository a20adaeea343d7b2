//! A running machine.

use std::fs::{self, File};
use std::io;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::arguments::{Configuration, Prepared, Serial, arguments};
use crate::child::{Owned, bound_to_us};
use crate::console::Console;
use crate::monitor::{Monitor, MonitorError};
use crate::times::BootTimes;
use crate::tpm::{self, Tpm};
use crate::tpm_traffic::TpmTraffic;

/// The directory with the TPM's memory, and the file that is the variable store, in the
/// directory of a machine's state.
pub const TPM_STATE: &str = "tpm-state";
/// See [`TPM_STATE`].
pub const VARIABLES: &str = "variables.fd";

/// How long QEMU may take to open its sockets.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// Why a machine could not be started or followed.
#[derive(Debug, thiserror::Error)]
pub enum MachineError {
    /// A file of the machine.
    #[error("{}: cannot be used", path.display())]
    File {
        /// Which one.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program does not start.
    #[error("{program} does not start; ./bastide run installs it where apt exists")]
    Spawn {
        /// Which one.
        program: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// swtpm gave up.
    #[error("the TPM emulator did not come up:\n{log}")]
    Tpm {
        /// Its log.
        log: String,
    },
    /// QEMU gave up before the machine was on.
    #[error("QEMU ended at once ({status}):\n{message}")]
    Ended {
        /// How.
        status: ExitStatus,
        /// Its own words.
        message: String,
    },
    /// QEMU did not open its sockets.
    #[error("QEMU did not come up within {} s", START_PATIENCE.as_secs())]
    Stuck,
    /// The machine did not go off.
    #[error("the machine is still on after {} s{tail}", patience.as_secs())]
    StillOn {
        /// How long it was given.
        patience: Duration,
        /// The last lines of its console.
        tail: String,
    },
    /// The TPM emulator did not write down what went over the bus.
    #[error("{}: no TPM traffic that can be read", path.display())]
    NoTraffic {
        /// The emulator's log.
        path: PathBuf,
    },
    /// The monitor.
    #[error("the machine's monitor failed")]
    Monitor(#[from] MonitorError),
}

fn file_error(path: &Path) -> impl FnOnce(io::Error) -> MachineError {
    let path = path.to_owned();
    move |source| MachineError::File { path, source }
}

/// A machine that is on, or has just gone off. Dropping it cuts the power.
#[derive(Debug)]
pub struct Machine {
    // Fields are dropped in order: the processes before the directory they write to.
    qemu: Owned,
    tpm: Tpm,
    console: Option<Console>,
    second_line: Option<Console>,
    monitor: Monitor,
    record: PathBuf,
    _sockets: TempDir,
    power_on: Instant,
}

impl Machine {
    /// Switches the machine on.
    pub fn start(machine: &Configuration) -> Result<Self, MachineError> {
        // Sockets have short names in a directory of our own: their paths are limited
        // to 107 bytes.
        let directory = tempfile::Builder::new()
            .prefix("bastide-")
            .tempdir()
            .map_err(file_error(&std::env::temp_dir()))?;
        let run = directory.path();
        let record = machine.record.as_deref().unwrap_or(run).to_owned();
        let state = machine.state.as_deref().unwrap_or(&record);
        for needed in [record.as_path(), state] {
            fs::create_dir_all(needed).map_err(file_error(needed))?;
        }

        let tpm = Tpm::start(&state.join(TPM_STATE), run, &record, machine.trace_tpm)?;
        let files = Prepared {
            variables: private_variables(&machine.firmware.variables, state)?,
            tpm_socket: tpm.socket.clone(),
            serial_socket: run.join("serial"),
            second_line_socket: run.join("second"),
            monitor_socket: run.join("monitor"),
        };
        let serial = listen(&files.serial_socket)?;
        let second = listen(&files.second_line_socket)?;
        let monitor = listen(&files.monitor_socket)?;

        let messages = record.join("qemu.log");
        let messages_file = File::create(&messages).map_err(file_error(&messages))?;
        let mut command = bound_to_us("qemu-system-x86_64");
        command
            .args(arguments(machine, &files))
            .stderr(messages_file);
        if machine.serial == Serial::Captured {
            command.stdin(Stdio::null()).stdout(Stdio::null());
        }
        let power_on = Instant::now();
        let mut qemu = command
            .spawn()
            .map(Owned)
            .map_err(|source| MachineError::Spawn {
                program: "qemu-system-x86_64",
                source,
            })?;

        let mut attach = |listener: &UnixListener, log: &str| {
            let stream = accept(listener, &mut qemu, &messages)?;
            let log = record.join(log);
            let log = File::create(&log).map_err(file_error(&log))?;
            Console::attach(stream, log, power_on).map_err(file_error(run))
        };
        let console = (machine.serial == Serial::Captured)
            .then(|| attach(&serial, "serial.log"))
            .transpose()?;
        let second_line = machine
            .second_line
            .then(|| attach(&second, "second-line.log"))
            .transpose()?;
        let monitor = Monitor::new(accept(&monitor, &mut qemu, &messages)?)?;
        Ok(Self {
            qemu,
            tpm,
            console,
            second_line,
            monitor,
            record,
            _sockets: directory,
            power_on,
        })
    }

    /// The serial console.
    ///
    /// # Panics
    /// When the machine was configured with [`Serial::Terminal`].
    pub fn console(&self) -> &Console {
        self.console
            .as_ref()
            .expect("a machine whose console is captured")
    }

    /// The second serial line.
    ///
    /// # Panics
    /// When the machine was configured without.
    pub fn second_line(&self) -> &Console {
        self.second_line
            .as_ref()
            .expect("a machine with a second serial line")
    }

    /// All that has gone over the TPM's bus since power-on.
    ///
    /// # Errors
    /// When the machine was configured without [`Configuration::trace_tpm`], or the
    /// emulator's log cannot be read or understood.
    pub fn tpm_traffic(&self) -> Result<TpmTraffic, MachineError> {
        let path = self.record.join(tpm::LOG);
        let log = fs::read_to_string(&path).map_err(file_error(&path))?;
        TpmTraffic::parse(&log).ok_or(MachineError::NoTraffic { path })
    }

    /// The monitor: keyboard, power button, screen.
    pub fn monitor(&mut self) -> &mut Monitor {
        &mut self.monitor
    }

    /// Where this start leaves serial.log and qemu.log.
    pub fn record(&self) -> &Path {
        &self.record
    }

    /// Process ids of QEMU and swtpm.
    pub fn processes(&self) -> [u32; 2] {
        [self.qemu.0.id(), self.tpm.id()]
    }

    /// Host time since power-on.
    pub fn uptime(&self) -> Duration {
        self.power_on.elapsed()
    }

    /// The times of the boot steps, as far as the console has shown them.
    pub fn boot_times(&self) -> BootTimes {
        self.console
            .as_ref()
            .map(|console| BootTimes::from_lines(&console.lines()))
            .unwrap_or_default()
    }

    /// Waits for the machine to go off by itself.
    pub fn wait_off(&mut self, patience: Duration) -> Result<ExitStatus, MachineError> {
        let end = Instant::now() + patience;
        loop {
            let ended = self.qemu.0.try_wait();
            if let Some(status) = ended.map_err(file_error(&self.record))? {
                self.settle();
                return Ok(status);
            }
            if Instant::now() > end {
                let tail = self
                    .console
                    .as_ref()
                    .map(|console| format!("; its console ends with:\n{}", console.tail()))
                    .unwrap_or_default();
                return Err(MachineError::StillOn { patience, tail });
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits without limit, for a person at the terminal.
    pub fn wait(&mut self) -> Result<ExitStatus, MachineError> {
        self.qemu.0.wait().map_err(file_error(&self.record))
    }

    /// Cuts the power.
    pub fn cut_power(&mut self) -> Result<(), MachineError> {
        self.qemu.kill().map_err(file_error(&self.record))?;
        self.settle();
        Ok(())
    }

    /// Lets the console's last bytes arrive after QEMU is gone.
    fn settle(&self) {
        let end = Instant::now() + Duration::from_secs(2);
        let open = |line: &Option<Console>| line.as_ref().is_some_and(|line| !line.is_closed());
        while (open(&self.console) || open(&self.second_line)) && Instant::now() < end {
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// What QEMU itself complained about.
    pub fn complaints(&self) -> String {
        fs::read_to_string(self.record.join("qemu.log")).unwrap_or_default()
    }
}

/// The variable store that this machine may write; kept from start to start if
/// the state directory is.
fn private_variables(original: &Path, state: &Path) -> Result<PathBuf, MachineError> {
    let private = state.join(VARIABLES);
    if !private.exists() {
        fs::copy(original, &private).map_err(file_error(original))?;
        let mut permissions = fs::metadata(&private)
            .map_err(file_error(&private))?
            .permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
        fs::set_permissions(&private, permissions).map_err(file_error(&private))?;
    }
    Ok(private)
}

fn listen(socket: &Path) -> Result<UnixListener, MachineError> {
    let listener = UnixListener::bind(socket).map_err(file_error(socket))?;
    listener.set_nonblocking(true).map_err(file_error(socket))?;
    Ok(listener)
}

/// Waits for QEMU to connect, or to end.
fn accept(
    listener: &UnixListener,
    qemu: &mut Owned,
    messages: &Path,
) -> Result<UnixStream, MachineError> {
    let end = Instant::now() + START_PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => {
                stream
                    .set_nonblocking(false)
                    .map_err(file_error(messages))?;
                return Ok(stream);
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(file_error(messages)(error)),
        }
        if let Some(status) = qemu.0.try_wait().map_err(file_error(messages))? {
            let message = fs::read_to_string(messages).unwrap_or_default();
            return Err(MachineError::Ended { status, message });
        }
        if Instant::now() > end {
            return Err(MachineError::Stuck);
        }
        thread::sleep(Duration::from_millis(2));
    }
}
