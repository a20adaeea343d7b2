//! Carrying on after an event: what can start starts, what must stop stops, and what
//! is true of the machine as a whole is said.

use bastide_config::name::ServiceName;

use super::action::{Action, Level, Moment, UnitId};
use super::unit::{State, Then};
use super::{Announced, Phase, Supervisor};

impl Supervisor {
    /// Takes down whatever needs a service that is lost, and what needs that, until
    /// nothing changes any more.
    fn spread_loss(&mut self, now: Moment) {
        let mut index = 0;
        while index < self.units.len() {
            let lost = self.units[index]
                .needs
                .iter()
                .find(|need| self.units[**need].state.is_lost())
                .map(|need| self.units[*need].name.clone());
            let changed = lost.is_some_and(|need| self.take_down(index, &need, now));
            // A change may concern services that were looked at already.
            index = if changed { 0 } else { index + 1 };
        }
    }

    /// Takes a service down because one that it needs is lost; `false`: it is down.
    fn take_down(&mut self, index: usize, need: &ServiceName, now: Moment) -> bool {
        let reason = format!("needs {need}, which has failed");
        let unit = &mut self.units[index];
        let kill_by = Some(now.after(unit.stop_timeout()));
        let (pid, kill_at, ask) = match &unit.state {
            State::Waiting | State::Restarting { .. } => {
                self.block(index, reason);
                return true;
            }
            State::Starting { pid, .. } | State::Ready { pid, .. } => (*pid, kill_by, true),
            State::Stopping {
                pid,
                kill_at,
                then: Then::Failure(_),
            } => (*pid, *kill_at, false),
            _ => return false,
        };
        unit.state = State::Stopping {
            pid,
            kill_at,
            then: Then::Blocked(reason),
        };
        if ask {
            self.actions.push(Action::Terminate(UnitId(index), pid));
        }
        true
    }

    /// Carries on wherever nothing has to be waited for any more.
    pub(super) fn settle(&mut self, now: Moment) {
        match self.phase {
            Phase::Running => {
                self.spread_loss(now);
                self.look_at_log(now);
                self.start_what_can();
                self.announce(now);
            }
            Phase::Stopping { stop, deadline } => {
                self.stop_what_can(now, deadline);
                if !self.units.iter().any(|unit| unit.state.is_running()) {
                    self.phase = Phase::Over;
                    self.actions.push(Action::Finish(stop));
                }
            }
            Phase::Over => {}
        }
    }

    fn start_what_can(&mut self) {
        for index in 0..self.units.len() {
            let unit = &self.units[index];
            let satisfied = unit.needs.iter().all(|need| {
                matches!(
                    self.units[*need].state,
                    State::Ready { .. } | State::Finished
                )
            });
            if unit.state == State::Waiting && satisfied && self.awaits_log(index).is_none() {
                self.units[index].state = State::Launching;
                self.actions.push(Action::Launch(UnitId(index)));
            }
        }
    }

    fn stop_what_can(&mut self, now: Moment, deadline: Moment) {
        for index in 0..self.units.len() {
            let unit = &self.units[index];
            let needed = unit
                .dependants
                .iter()
                .any(|dependant| self.units[*dependant].state.is_running())
                || self.logs_others(index);
            let (State::Starting { pid, .. } | State::Ready { pid, .. }) = unit.state else {
                continue;
            };
            if needed {
                continue;
            }
            let latest = self.leaves_log_time(index, deadline);
            let kill_at = Some(now.after(unit.stop_timeout()).min(latest));
            self.units[index].state = State::Stopping {
                pid,
                kill_at,
                then: Then::Stopped,
            };
            self.actions.push(Action::Terminate(UnitId(index), pid));
        }
    }

    fn announce(&mut self, now: Moment) {
        let settled = self.units.iter().all(|unit| unit.state.is_settled());
        if !settled || self.announced != Announced::Nothing {
            return;
        }
        let lost: Vec<&str> = self
            .units
            .iter()
            .filter(|unit| matches!(unit.state, State::Failed | State::Blocked))
            .map(|unit| unit.name.as_str())
            .collect();
        if lost.is_empty() {
            self.announced = Announced::Ready;
            self.ready_at = Some(now);
            self.actions.push(Action::Ready);
        } else {
            self.announced = Announced::Degraded;
            let lost = lost.join(", ");
            self.say(Level::Error, format!("degraded: without {lost}"));
        }
    }
}
