//! The service that keeps the log comes first and goes last, so that it hears the others
//! from beginning to end. Nobody needs it for that: without it they run all the same.

use super::action::Moment;
use super::graph::Graph;
use super::unit::State;
use super::{Phase, Supervisor};

/// How long, from the beginning on, others wait for it.
const WAIT: Moment = Moment::from_seconds(5);

/// What it has for itself of the time that all have to stop.
const RESERVE: Moment = Moment::from_seconds(10);

/// The service that keeps the log.
#[derive(Debug)]
pub(super) struct Log {
    index: usize,
    /// What it needs itself: this neither waits for it nor stops before it.
    needs: Vec<usize>,
    /// Until when others wait for it; set at the beginning, gone once they do not.
    awaited: Option<Moment>,
}

impl Log {
    pub(super) fn new(index: usize, graph: &Graph) -> Self {
        Self {
            index,
            needs: graph.all_needs(index),
            awaited: None,
        }
    }

    /// Whether a service runs within the log's time, if it can.
    fn is_before(&self, index: usize) -> bool {
        index != self.index && !self.needs.contains(&index)
    }
}

impl Supervisor {
    /// From here on others wait for the log.
    pub(super) fn await_log(&mut self, now: Moment) {
        if let Some(log) = &mut self.log {
            log.awaited = Some(now.plus(WAIT));
        }
    }

    /// Finds out whether the log still has to be waited for: it is not once it was ready
    /// or failed, be it for the first time only, or had its time.
    pub(super) fn look_at_log(&mut self, now: Moment) {
        let Some(log) = &mut self.log else {
            return;
        };
        let pending = matches!(
            self.units[log.index].state,
            State::Waiting | State::Launching | State::Starting { .. }
        );
        log.awaited = log.awaited.filter(|until| pending && now < *until);
    }

    /// Until when a service has to wait for the log.
    pub(super) fn awaits_log(&self, index: usize) -> Option<Moment> {
        let log = self.log.as_ref().filter(|log| log.is_before(index))?;
        log.awaited
    }

    /// When the wait for the log is over, if somebody waits.
    pub(super) fn log_deadline(&self) -> Option<Moment> {
        let mut waiting = (0..self.units.len()).filter_map(|index| {
            let waits = self.phase == Phase::Running && self.units[index].state == State::Waiting;
            self.awaits_log(index).filter(|_| waits)
        });
        waiting.next()
    }

    /// Whether a service is the log and somebody who runs may still have something to say.
    pub(super) fn logs_others(&self, index: usize) -> bool {
        let Some(log) = self.log.as_ref().filter(|log| log.index == index) else {
            return false;
        };
        let mut others = self.units.iter().enumerate();
        others.any(|(other, unit)| log.is_before(other) && unit.state.is_running())
    }

    /// When a service that is asked to end is killed at the latest, so that the log has
    /// time left when all must have stopped by `deadline`.
    pub(super) fn leaves_log_time(&self, index: usize, deadline: Moment) -> Moment {
        match &self.log {
            Some(log) if log.is_before(index) => deadline.since(RESERVE),
            _ => deadline,
        }
    }
}
