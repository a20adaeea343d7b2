//! The supervisor as others see it.

use bastide_config::service::Service;
use bastide_ipc::init::{MachineState, Service as Shown, ServiceState};

use super::action::{Moment, UnitId};
use super::unit::{State, Unit};
use super::{Phase, Supervisor};

impl Supervisor {
    /// The definition of a service, if it has a usable one.
    #[must_use]
    pub fn definition(&self, id: UnitId) -> Option<&Service> {
        self.units.get(id.0)?.definition.as_ref()
    }

    /// All usable definitions.
    pub fn definitions(&self) -> impl Iterator<Item = &Service> + Clone {
        self.units
            .iter()
            .filter_map(|unit| unit.definition.as_ref())
    }

    /// Whether the service of that name is ready.
    #[must_use]
    pub fn is_ready(&self, name: &str) -> bool {
        let mut units = self.units.iter();
        let unit = units.find(|unit| unit.name.as_str() == name);
        unit.is_some_and(|unit| matches!(unit.state, State::Ready { .. }))
    }

    /// The service whose main process this is.
    #[must_use]
    pub fn id_of(&self, pid: u32) -> Option<UnitId> {
        self.index_of(pid).map(UnitId)
    }

    /// All services, usable or not.
    pub fn ids(&self) -> impl Iterator<Item = UnitId> {
        (0..self.units.len()).map(UnitId)
    }

    /// The main process of a service, if it has one.
    #[must_use]
    pub fn pid(&self, id: UnitId) -> Option<u32> {
        self.units.get(id.0)?.state.pid()
    }

    /// The name of a service.
    #[must_use]
    pub fn name(&self, id: UnitId) -> &str {
        self.units.get(id.0).map_or("", |unit| unit.name.as_str())
    }

    /// Whether the machine has been told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.phase != Phase::Running
    }

    /// When every service was ready for the first time.
    #[must_use]
    pub fn ready_at(&self) -> Option<Moment> {
        self.ready_at
    }

    /// What the machine as a whole is doing.
    #[must_use]
    pub fn machine_state(&self) -> MachineState {
        if self.is_stopping() {
            return MachineState::Stopping;
        }
        let lost = |unit: &Unit| matches!(unit.state, State::Failed | State::Blocked);
        if !self.units.iter().all(|unit| unit.state.is_settled()) {
            MachineState::Starting
        } else if self.units.iter().any(lost) {
            MachineState::Degraded
        } else {
            MachineState::Ready
        }
    }

    /// The services for `GetStatus`.
    #[must_use]
    pub fn services(&self) -> Vec<Shown> {
        self.units.iter().map(show).collect()
    }
}

fn show(unit: &Unit) -> Shown {
    Shown {
        name: unit.name.to_string(),
        description: unit
            .definition
            .as_ref()
            .map_or_else(String::new, |definition| definition.description.clone()),
        state: match unit.state {
            State::Waiting => ServiceState::Waiting,
            State::Launching | State::Starting { .. } => ServiceState::Starting,
            State::Ready { .. } => ServiceState::Ready,
            State::Stopping { .. } => ServiceState::Stopping,
            State::Restarting { .. } => ServiceState::Restarting,
            State::Failed => ServiceState::Failed,
            State::Blocked => ServiceState::Blocked,
            State::Finished => ServiceState::Finished,
            State::Stopped => ServiceState::Stopped,
        },
        pid: unit.state.pid(),
        restarts: unit.restarts,
        started_at: unit.started_at.map(Moment::microseconds),
        ready_at: unit.ready_at.map(Moment::microseconds),
        status: unit.status.clone(),
        reason: unit.reason.clone(),
        last_exit: unit.last_exit.clone(),
        // The supervisor looks at nothing; whoever answers adds what was counted.
        usage: None,
    }
}
