//! One service as the supervisor sees it.

use std::collections::VecDeque;
use std::time::Duration;

use bastide_config::name::ServiceName;
use bastide_config::service::Service;

use super::action::Moment;

/// What a service is doing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for what it needs.
    Waiting,
    /// The caller has been told to start it.
    Launching,
    /// Runs, but is not ready yet.
    Starting { pid: u32, deadline: Moment },
    /// Does its work; `watchdog` is when it must have spoken again.
    Ready { pid: u32, watchdog: Option<Moment> },
    /// Has been told to end; `kill_at` is when it is killed, unless it has been.
    Stopping {
        pid: u32,
        kill_at: Option<Moment>,
        then: Then,
    },
    /// Will be started again.
    Restarting { at: Moment },
    /// Will not be started again.
    Failed,
    /// Needs a service that has failed.
    Blocked,
    /// Has done what it had to.
    Finished,
    /// Was stopped with the machine.
    Stopped,
}

/// What becomes of a service that has been told to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Then {
    /// The machine stops.
    Stopped,
    /// A need of it has failed.
    Blocked(String),
    /// It failed itself; the restart policy decides.
    Failure(String),
}

impl State {
    pub(super) fn pid(&self) -> Option<u32> {
        match self {
            Self::Starting { pid, .. } | Self::Ready { pid, .. } | Self::Stopping { pid, .. } => {
                Some(*pid)
            }
            _ => None,
        }
    }

    /// Whether it has a process, or is about to.
    pub(super) fn is_running(&self) -> bool {
        self.pid().is_some() || *self == Self::Launching
    }

    /// Whether nothing more is expected to happen to it.
    pub(super) fn is_settled(&self) -> bool {
        matches!(
            self,
            Self::Ready { .. } | Self::Failed | Self::Blocked | Self::Finished | Self::Stopped
        )
    }

    /// Whether those that need it must not run any more.
    pub(super) fn is_lost(&self) -> bool {
        matches!(
            self,
            Self::Failed
                | Self::Blocked
                | Self::Stopping {
                    then: Then::Blocked(_),
                    ..
                }
        )
    }

    pub(super) fn deadline(&self) -> Option<Moment> {
        match self {
            Self::Starting { deadline, .. } => Some(*deadline),
            Self::Ready { watchdog, .. } => *watchdog,
            Self::Stopping { kill_at, .. } => *kill_at,
            Self::Restarting { at } => Some(*at),
            _ => None,
        }
    }
}

/// One service.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) name: ServiceName,
    /// Absent when it could not be read or its needs cannot be met.
    pub(super) definition: Option<Service>,
    pub(super) needs: Vec<usize>,
    pub(super) dependants: Vec<usize>,
    pub(super) state: State,
    /// Restarts in all.
    pub(super) restarts: u32,
    /// When it was restarted within the window of its policy.
    pub(super) recent: VecDeque<Moment>,
    pub(super) started_at: Option<Moment>,
    pub(super) ready_at: Option<Moment>,
    pub(super) status: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) last_exit: Option<String>,
}

impl Unit {
    pub(super) fn new(
        name: ServiceName,
        definition: Option<Service>,
        needs: Vec<usize>,
        dependants: Vec<usize>,
    ) -> Self {
        Self {
            name,
            definition,
            needs,
            dependants,
            state: State::Waiting,
            restarts: 0,
            recent: VecDeque::new(),
            started_at: None,
            ready_at: None,
            status: None,
            reason: None,
            last_exit: None,
        }
    }

    pub(super) fn start_timeout(&self) -> Duration {
        self.definition
            .as_ref()
            .map_or(Duration::ZERO, |definition| definition.start_timeout)
    }

    pub(super) fn stop_timeout(&self) -> Duration {
        self.definition
            .as_ref()
            .map_or(Duration::ZERO, |definition| definition.stop_timeout)
    }
}
