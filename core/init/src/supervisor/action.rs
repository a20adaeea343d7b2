//! What goes into and comes out of the supervisor.

use std::fmt;
use std::time::Duration;

/// A service by its place in the supervisor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitId(pub(super) usize);

/// A moment of the monotonic clock, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// A moment from microseconds.
    #[must_use]
    pub const fn from_microseconds(microseconds: u64) -> Self {
        Self(microseconds)
    }

    /// A moment, or a span, from seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// The moment in microseconds.
    #[must_use]
    pub const fn microseconds(self) -> u64 {
        self.0
    }

    /// This much later; the end of time at the latest.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        let microseconds = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(microseconds))
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, span: Self) -> Self {
        Self(self.0.saturating_add(span.0))
    }

    /// The span since an earlier moment; none if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundredths = self.0 / 10_000;
        write!(formatter, "{}.{:02} s", hundredths / 100, hundredths % 100)
    }
}

/// How the machine is to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Switch off.
    PowerOff,
    /// Start anew.
    Reboot,
}

impl fmt::Display for Stop {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::PowerOff => "power off",
            Self::Reboot => "reboot",
        })
    }
}

/// How a process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this status.
    Status(i32),
    /// By this signal.
    Signal(i32),
    /// By the kernel, which had no memory left for it.
    OutOfMemory,
    /// It never began.
    NotStarted(String),
}

impl Exit {
    /// Whether it ended well.
    #[must_use]
    pub fn is_success(&self) -> bool {
        *self == Self::Status(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(formatter, "exit status {status}"),
            Self::Signal(signal) => write!(formatter, "signal {signal}"),
            Self::OutOfMemory => formatter.write_str("signal 9 (out of memory)"),
            Self::NotStarted(why) => write!(formatter, "could not be started: {why}"),
        }
    }
}

/// What a service may say (sd_notify(3)).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Notification {
    /// `READY=1`.
    pub ready: bool,
    /// `STOPPING=1`.
    pub stopping: bool,
    /// `WATCHDOG=1`.
    pub watchdog: bool,
    /// `STATUS=`.
    pub status: Option<String>,
}

/// How much a line of PID 1 matters; the numbers are syslog's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Something does not work.
    Error = 3,
    /// The world misbehaved.
    Warning = 4,
    /// A step that people wait for.
    Notice = 5,
    /// Anything else.
    Info = 6,
}

/// What the caller has to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Start the process of this service, then report `launched` or `launch_failed`.
    Launch(UnitId),
    /// Ask the process to end (SIGTERM).
    Terminate(UnitId, u32),
    /// End all processes of the service at once (SIGKILL).
    Kill(UnitId, u32),
    /// The main process is gone: end what it left behind, take its terminal back.
    CleanUp(UnitId),
    /// Write a line to the kernel log.
    Say(Level, String),
    /// Every wanted service is ready; comes once.
    Ready,
    /// All services have stopped, or had their time: stop the machine. Comes once, last.
    Finish(Stop),
}
