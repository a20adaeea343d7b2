//! What happens to the services: a state machine without any I/O.
//!
//! Events go in with the time they happened, actions for the caller to carry out
//! come out. Nothing here looks at a clock, starts a process or blocks, so every
//! decision of PID 1 can be tried in a unit test.
//!
//! A service that others need and that is only being restarted leaves them
//! running; one that has failed for good takes them down with it (`blocked`),
//! because `needs` says that they must not run without it.

mod action;
mod graph;
mod log;
mod policy;
mod settle;
mod unit;
mod view;

#[cfg(test)]
mod property;
#[cfg(test)]
mod tests;

use bastide_config::name::ServiceName;
use bastide_config::service::{Readiness, Service};

pub use action::{Action, Exit, Level, Moment, Notification, Stop, UnitId};
use graph::Graph;
use log::Log;
use policy::{Verdict, after_exit};
use unit::{State, Then, Unit};

/// How long the services have, all together, to end when the machine stops.
const STOP_LIMIT: Moment = Moment::from_seconds(30);

/// The services and what they are doing.
#[derive(Debug)]
pub struct Supervisor {
    units: Vec<Unit>,
    phase: Phase,
    announced: Announced,
    ready_at: Option<Moment>,
    log: Option<Log>,
    actions: Vec<Action>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    Stopping { stop: Stop, deadline: Moment },
    Over,
}

/// What has been said about the machine as a whole; each is said once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Announced {
    Nothing,
    Ready,
    Degraded,
}

impl Supervisor {
    /// Takes the definitions: those that could be read, and the reason for each
    /// that could not. `log`: the name of the service that keeps the log.
    #[must_use]
    pub fn new(definitions: Vec<(ServiceName, Result<Service, String>)>, log: &str) -> Self {
        let graph = Graph::new(&definitions);
        let log = definitions
            .iter()
            .position(|(name, _)| name.as_str() == log)
            .map(|index| Log::new(index, &graph));
        let mut units = Vec::new();
        let mut broken = Vec::new();
        for (index, (name, definition)) in definitions.into_iter().enumerate() {
            let definition = match (definition, graph.problem(index)) {
                (Ok(definition), None) => Some(definition),
                (Ok(_), Some(problem)) => {
                    broken.push((index, problem));
                    None
                }
                (Err(problem), _) => {
                    broken.push((index, problem));
                    None
                }
            };
            units.push(Unit::new(
                name,
                definition,
                graph.needs(index),
                graph.dependants(index),
            ));
        }
        let mut supervisor = Self {
            units,
            phase: Phase::Running,
            announced: Announced::Nothing,
            ready_at: None,
            log,
            actions: Vec::new(),
        };
        for (index, problem) in broken {
            supervisor.fail(index, problem);
        }
        supervisor
    }

    /// What to do at the very beginning.
    pub fn begin(&mut self, now: Moment) -> Vec<Action> {
        self.await_log(now);
        self.settle(now);
        self.take()
    }

    /// The process of a service was started.
    pub fn launched(&mut self, id: UnitId, pid: u32, now: Moment) -> Vec<Action> {
        let unit = &mut self.units[id.0];
        if !matches!(unit.state, State::Launching) {
            return self.take();
        }
        unit.started_at = Some(now);
        let Some(definition) = &unit.definition else {
            return self.take();
        };
        let name = unit.name.clone();
        unit.state = State::Starting {
            pid,
            deadline: now.after(definition.start_timeout),
        };
        let at_once = definition.readiness == Readiness::Started;
        self.say(Level::Notice, format!("service {name} started"));
        if at_once {
            self.become_ready(id.0, pid, now);
        }
        self.settle(now);
        self.take()
    }

    /// The process of a service could not be started.
    pub fn launch_failed(&mut self, id: UnitId, why: String, now: Moment) -> Vec<Action> {
        if matches!(self.units[id.0].state, State::Launching) {
            self.ended(id.0, &Exit::NotStarted(why), None, now);
        }
        self.settle(now);
        self.take()
    }

    /// A process was reaped; it may be nobody's (an orphan).
    pub fn exited(&mut self, pid: u32, exit: &Exit, now: Moment) -> Vec<Action> {
        if let Some(index) = self.index_of(pid) {
            self.actions.push(Action::CleanUp(UnitId(index)));
            let then = match &self.units[index].state {
                State::Stopping { then, .. } => Some(then.clone()),
                _ => None,
            };
            self.ended(index, exit, then, now);
        }
        self.settle(now);
        self.take()
    }

    /// A service said something on the notification socket.
    pub fn notified(&mut self, pid: u32, notification: &Notification, now: Moment) -> Vec<Action> {
        let Some(index) = self.index_of(pid) else {
            return self.take();
        };
        let unit = &mut self.units[index];
        if let Some(status) = &notification.status {
            unit.status = Some(status.clone());
        }
        let timeout = unit
            .definition
            .as_ref()
            .and_then(|definition| definition.watchdog);
        if let State::Ready { watchdog, .. } = &mut unit.state
            && notification.watchdog
        {
            *watchdog = timeout.map(|timeout| now.after(timeout));
        }
        if let State::Ready { watchdog, .. } = &mut unit.state
            && notification.stopping
        {
            // It is on its way out and has other things to do than to bark.
            *watchdog = None;
        }
        if notification.ready && matches!(unit.state, State::Starting { .. }) {
            self.become_ready(index, pid, now);
        }
        self.settle(now);
        self.take()
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Moment) -> Vec<Action> {
        for index in 0..self.units.len() {
            self.check_deadline(index, now);
        }
        self.settle(now);
        if let Phase::Stopping { stop, deadline } = self.phase
            && now >= deadline
        {
            let names = self.running_names();
            self.say(
                Level::Warning,
                format!("services did not stop in time: {names}"),
            );
            self.phase = Phase::Over;
            self.actions.push(Action::Finish(stop));
        }
        self.take()
    }

    /// The machine is to stop. A second request changes nothing.
    pub fn stop(&mut self, stop: Stop, now: Moment) -> Vec<Action> {
        if self.phase == Phase::Running {
            self.say(Level::Notice, format!("stopping: {stop}"));
            self.phase = Phase::Stopping {
                stop,
                deadline: now.plus(STOP_LIMIT),
            };
            for unit in &mut self.units {
                if matches!(unit.state, State::Waiting | State::Restarting { .. }) {
                    unit.state = State::Stopped;
                }
            }
            self.settle(now);
        }
        self.take()
    }

    /// When [`Supervisor::tick`] must be called next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Moment> {
        let phase = match self.phase {
            Phase::Stopping { deadline, .. } => Some(deadline),
            Phase::Running | Phase::Over => None,
        };
        let units = self.units.iter().filter_map(|unit| unit.state.deadline());
        units.chain(phase).chain(self.log_deadline()).min()
    }

    fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.actions)
    }

    fn say(&mut self, level: Level, text: String) {
        self.actions.push(Action::Say(level, text));
    }

    fn index_of(&self, pid: u32) -> Option<usize> {
        self.units
            .iter()
            .position(|unit| unit.state.pid() == Some(pid))
    }

    fn running_names(&self) -> String {
        let names: Vec<&str> = self
            .units
            .iter()
            .filter(|unit| unit.state.is_running())
            .map(|unit| unit.name.as_str())
            .collect();
        names.join(", ")
    }

    fn become_ready(&mut self, index: usize, pid: u32, now: Moment) {
        let unit = &mut self.units[index];
        let timeout = unit
            .definition
            .as_ref()
            .and_then(|definition| definition.watchdog);
        unit.state = State::Ready {
            pid,
            watchdog: timeout.map(|timeout| now.after(timeout)),
        };
        unit.ready_at = Some(now);
        unit.reason = None;
        let name = unit.name.clone();
        self.say(Level::Notice, format!("service {name} ready"));
    }

    fn check_deadline(&mut self, index: usize, now: Moment) {
        let unit = &mut self.units[index];
        if unit.state.deadline().is_none_or(|deadline| now < deadline) {
            return;
        }
        let name = unit.name.clone();
        let stop_timeout = unit.stop_timeout();
        match unit.state.clone() {
            State::Starting { pid, .. } => {
                let limit = unit.start_timeout().as_secs();
                let reason = format!("not ready within {limit} s");
                unit.state = State::Stopping {
                    pid,
                    kill_at: Some(now.after(stop_timeout)),
                    then: Then::Failure(reason.clone()),
                };
                self.say(Level::Warning, format!("service {name} {reason}"));
                self.actions.push(Action::Terminate(UnitId(index), pid));
            }
            State::Ready { pid, .. } => {
                let reason = "silent for longer than its watchdog allows".to_owned();
                // It hangs: asking it to end would be a second wait for the same silence.
                unit.state = State::Stopping {
                    pid,
                    kill_at: None,
                    then: Then::Failure(reason.clone()),
                };
                self.say(Level::Warning, format!("service {name} {reason}"));
                self.actions.push(Action::Kill(UnitId(index), pid));
            }
            State::Stopping { pid, then, .. } => {
                unit.state = State::Stopping {
                    pid,
                    kill_at: None,
                    then,
                };
                self.say(
                    Level::Warning,
                    format!("service {name} did not end when asked; killing it"),
                );
                self.actions.push(Action::Kill(UnitId(index), pid));
            }
            State::Restarting { .. } => unit.state = State::Waiting,
            _ => {}
        }
    }

    /// The process of a service has ended, or could not be started.
    fn ended(&mut self, index: usize, exit: &Exit, then: Option<Then>, now: Moment) {
        let stopping = self.phase != Phase::Running;
        let unit = &mut self.units[index];
        let name = unit.name.clone();
        let was_ready = matches!(unit.state, State::Ready { .. });
        unit.last_exit = Some(exit.to_string());
        unit.status = None;
        if stopping {
            unit.state = State::Stopped;
            let how = exit.to_string();
            self.say(Level::Info, format!("service {name} stopped ({how})"));
            return;
        }
        let reason = match then {
            Some(Then::Blocked(reason)) => {
                self.block(index, reason);
                return;
            }
            Some(Then::Stopped) => {
                unit.state = State::Stopped;
                return;
            }
            Some(Then::Failure(reason)) => Some(reason),
            None => None,
        };
        match after_exit(unit, exit, reason, was_ready, now) {
            Verdict::Finished => {
                unit.state = State::Finished;
                self.say(Level::Notice, format!("service {name} finished"));
            }
            Verdict::Restart { at, why } => {
                unit.state = State::Restarting { at };
                unit.restarts = unit.restarts.saturating_add(1);
                unit.reason = Some(why.clone());
                let pause = at.since(now);
                self.say(
                    Level::Warning,
                    format!("service {name} ended: {why}; starting it again in {pause}"),
                );
            }
            Verdict::Fail { why } => self.fail(index, why),
        }
    }

    /// A service has failed for good.
    fn fail(&mut self, index: usize, why: String) {
        let unit = &mut self.units[index];
        unit.state = State::Failed;
        unit.reason = Some(why.clone());
        let name = unit.name.clone();
        self.say(Level::Error, format!("service {name} failed: {why}"));
    }

    fn block(&mut self, index: usize, reason: String) {
        let unit = &mut self.units[index];
        unit.state = State::Blocked;
        unit.reason = Some(reason.clone());
        let name = unit.name.clone();
        self.say(Level::Error, format!("service {name} blocked: {reason}"));
    }
}
