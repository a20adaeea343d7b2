//! `org.bastide.Init`: the state of the machine, and stopping it.

use serde::{Deserialize, Serialize};

use crate::message::{Call, Reply};
use crate::standard::StandardError;

/// The interface's name.
pub const INTERFACE: &str = "org.bastide.Init";

/// The interface's definition.
pub const DESCRIPTION: &str = include_str!("../org.bastide.Init.varlink");

/// Where PID 1 listens.
pub const SOCKET: &str = "/run/bastide/org.bastide.Init";

/// The methods of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Method {
    /// Everything a status page shows of the Core.
    GetStatus,
    /// Stops the services and switches the machine off.
    PowerOff,
    /// Stops the services and starts the machine anew.
    Reboot,
}

impl Method {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::GetStatus, Self::PowerOff, Self::Reboot];

    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::GetStatus => "GetStatus",
            Self::PowerOff => "PowerOff",
            Self::Reboot => "Reboot",
        }
    }

    /// Finds the method that a call means; none of them has parameters.
    ///
    /// # Errors
    /// The reply that says what is wrong with the call.
    pub fn of(call: &Call, method: &str) -> Result<Self, Reply> {
        let found = Self::ALL.into_iter().find(|known| known.as_str() == method);
        let Some(found) = found else {
            return Err(StandardError::MethodNotFound {
                method: call.method.clone(),
            }
            .into());
        };
        call.no_parameters().map(|()| found)
    }

    /// The call of this method.
    #[must_use]
    pub fn call(self) -> Call {
        Call::new(INTERFACE, self.as_str())
    }
}

/// The reply of a machine that is being stopped already.
#[must_use]
pub fn stopping() -> Reply {
    Reply::error(INTERFACE, "Stopping")
}

/// What the machine as a whole is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MachineState {
    /// Not every service has settled yet.
    Starting,
    /// Every service is ready or has finished.
    Ready,
    /// Every service has settled and at least one is failed or blocked.
    Degraded,
    /// Services are being stopped.
    Stopping,
}

/// What a service is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ServiceState {
    /// Waits for what it needs.
    Waiting,
    /// Runs, but is not ready yet.
    Starting,
    /// Does its work.
    Ready,
    /// Has been told to end.
    Stopping,
    /// Will be started again after a pause.
    Restarting,
    /// Will not be started again.
    Failed,
    /// A service it needs has failed.
    Blocked,
    /// Has done what it had to.
    Finished,
    /// Was stopped with the machine.
    Stopped,
}

impl ServiceState {
    /// The name on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Ready => "ready",
            Self::Stopping => "stopping",
            Self::Restarting => "restarting",
            Self::Failed => "failed",
            Self::Blocked => "blocked",
            Self::Finished => "finished",
            Self::Stopped => "stopped",
        }
    }
}

/// One service. Times are microseconds of the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Service {
    /// Its name.
    pub name: String,
    /// One line for people.
    pub description: String,
    /// What it is doing.
    pub state: ServiceState,
    /// Its main process.
    pub pid: Option<u32>,
    /// How often it has been started again.
    pub restarts: u32,
    /// When its process was last started.
    pub started_at: Option<u64>,
    /// When it last became ready.
    pub ready_at: Option<u64>,
    /// What it says of itself.
    pub status: Option<String>,
    /// Why it failed or is blocked.
    pub reason: Option<String>,
    /// How its last process ended.
    pub last_exit: Option<String>,
    /// What it uses; absent when that is not counted.
    pub usage: Option<Usage>,
}

/// What a service, or PID 1 itself, uses of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Memory now, in bytes.
    pub memory: u64,
    /// Of that, what is no page cache, which the kernel could drop.
    pub resident: u64,
    /// The most memory so far, in bytes.
    pub memory_peak: Option<u64>,
    /// Processor time so far, in microseconds.
    pub processor_us: u64,
}

/// The memory of the machine, kernel included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    /// What the kernel has to give out, in bytes.
    pub total: u64,
    /// What is given out, page cache left out, in bytes.
    pub resident: u64,
}

/// A step of the boot and when it was done, in microseconds of the monotonic clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BootStep {
    /// Its name.
    pub name: String,
    /// When it was done.
    pub at: u64,
}

/// What the boot loader measured, in microseconds since firmware started its counter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoaderTimes {
    /// Start of the boot loader.
    pub init: Option<u64>,
    /// Start of the kernel bundle.
    pub exec: Option<u64>,
}

/// The Core that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Core {
    /// Root hash, 64 hexadecimal digits.
    pub root_hash: String,
    /// Kernel name of its partition.
    pub device: String,
    /// Whether all blocks read so far were genuine, or repaired at the first attempt.
    /// The kernel does not say whether a later attempt repaired the others (dm-verity's
    /// status `C`); if none did, they cannot be read.
    pub verified: bool,
    /// Blocks that error correction has repaired since the boot.
    pub corrected_blocks: u64,
}

/// A partition that claimed to be the Core and was not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCandidate {
    /// Kernel name.
    pub device: String,
    /// Why it was refused.
    pub reason: String,
}

/// The encrypted state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Volume {
    /// What opened it: `tpm`, `recovery-key` or `provisioning`.
    pub opened_by: String,
    /// Kernel name of its partition.
    pub device: String,
    /// UUID of its volume.
    pub uuid: String,
    /// How it is encrypted and authenticated.
    pub cipher: String,
    /// Whether swap is on.
    pub swap: bool,
    /// Bytes of the file system; absent when it cannot be asked.
    pub size: Option<u64>,
    /// Bytes that services may still write; what is kept back for the log does not count.
    pub available: Option<u64>,
    /// Whether it was made read-only after an error.
    pub read_only: bool,
}

/// The reply of `GetStatus`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// What the machine as a whole is doing.
    pub state: MachineState,
    /// When every service was ready for the first time.
    pub ready_at: Option<u64>,
    /// The services by name.
    pub services: Vec<Service>,
    /// What PID 1 itself uses.
    pub init_usage: Option<Usage>,
    /// The memory of the machine.
    pub memory: Option<Memory>,
    /// Steps of the boot in their order.
    pub steps: Vec<BootStep>,
    /// What the boot loader measured.
    pub loader: LoaderTimes,
    /// The Core that runs.
    pub core: Option<Core>,
    /// Why `core` is absent.
    pub core_unavailable: Option<String>,
    /// The encrypted state, if the machine has one.
    pub volume: Option<Volume>,
    /// Partitions that claimed to be the Core.
    pub refused: Vec<RefusedCandidate>,
    /// Why the boot before this one was refused.
    pub previous_failure: Option<String>,
}
