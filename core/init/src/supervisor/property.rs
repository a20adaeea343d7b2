//! Random services, random events: what must hold whatever happens.

use std::collections::{BTreeMap, BTreeSet};

use bastide_ipc::init::ServiceState;

use super::tests::service;
use super::*;

/// A generator of our own (xorshift64*), so that a failure repeats from its seed.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, bound: usize) -> usize {
        let bound = u64::try_from(bound).expect("small");
        usize::try_from((self.next() >> 33) % bound).expect("small")
    }
}

/// The world around the supervisor: which processes live.
struct World {
    supervisor: Supervisor,
    needs: Vec<Vec<usize>>,
    log: Option<usize>,
    alive: BTreeMap<u32, usize>,
    told: BTreeSet<u32>,
    /// Which have said that they are ready.
    heard: BTreeSet<u32>,
    next_pid: u32,
    now: Moment,
    ready: usize,
    finished: usize,
    stop_requested: bool,
    random: Random,
}

impl World {
    fn new(seed: u64) -> Self {
        let mut random = Random(seed | 1);
        let count = 1 + random.below(6);
        let mut needs = Vec::new();
        let mut definitions = Vec::new();
        for index in 0..count {
            // Earlier ones only: what a circle does has a test of its own.
            let mine: Vec<usize> = (0..index).filter(|_| random.below(3) == 0).collect();
            let names: Vec<String> = mine.iter().map(|need| format!("\"s{need}\"")).collect();
            let when = ["always", "on-failure", "never"][random.below(3)];
            let readiness = ["notify", "started"][random.below(2)];
            let watchdog = if readiness == "notify" && random.below(2) == 0 {
                "watchdog-seconds = 5\n"
            } else {
                ""
            };
            let text = format!(
                "needs = [{}]\nreadiness = \"{readiness}\"\n{watchdog}start-timeout-seconds = 3\nstop-timeout-seconds = 2\nrestart = {{ when = \"{when}\", limit = 3, window-seconds = 30 }}",
                names.join(", ")
            );
            definitions.push(service(&format!("s{index}"), &text));
            needs.push(mine);
        }
        let log = (random.below(2) == 0).then(|| random.below(count));
        let name = log.map_or("none".to_owned(), |index| format!("s{index}"));
        Self {
            supervisor: Supervisor::new(definitions, &name),
            needs,
            log,
            alive: BTreeMap::new(),
            told: BTreeSet::new(),
            heard: BTreeSet::new(),
            next_pid: 1,
            now: Moment::default(),
            ready: 0,
            finished: 0,
            stop_requested: false,
            random,
        }
    }

    fn carry_out(&mut self, actions: Vec<Action>) {
        for action in actions {
            assert_eq!(self.finished, 0, "nothing comes after the end");
            match action {
                Action::Launch(id) => self.launch(id),
                Action::Terminate(id, pid) => self.terminate(id, pid),
                Action::Kill(id, pid) => {
                    assert_eq!(self.alive.get(&pid), Some(&id.0), "kills what is its own");
                    self.told.insert(pid);
                }
                Action::CleanUp(_) | Action::Say(..) => {}
                Action::Ready => self.ready += 1,
                Action::Finish(_) => {
                    assert!(self.stop_requested, "the end comes when asked for");
                    self.finished += 1;
                }
            }
        }
        self.check();
    }

    fn launch(&mut self, id: UnitId) {
        assert!(!self.stop_requested, "nothing starts while stopping");
        assert!(
            !self.alive.values().any(|owner| *owner == id.0),
            "one process at a time"
        );
        let shown = self.supervisor.services();
        for need in &self.needs[id.0] {
            assert!(
                matches!(
                    shown[*need].state,
                    ServiceState::Ready | ServiceState::Finished
                ),
                "starts only when its needs are met"
            );
        }
        if let Some(log) = self.log
            && self.is_before_log(id.0)
            && self.now < Moment::from_seconds(5)
        {
            assert!(
                shown[log].last_exit.is_some()
                    || !matches!(
                        shown[log].state,
                        ServiceState::Waiting | ServiceState::Starting
                    ),
                "starts after the log"
            );
        }
        let actions = if self.random.below(8) == 0 {
            self.supervisor
                .launch_failed(id, "no such program".to_owned(), self.now)
        } else {
            let pid = self.next_pid;
            self.next_pid += 1;
            self.alive.insert(pid, id.0);
            self.supervisor.launched(id, pid, self.now)
        };
        self.carry_out(actions);
    }

    /// Whether a service is neither the log nor needed by it.
    fn is_before_log(&self, index: usize) -> bool {
        let mut kept = Vec::from_iter(self.log);
        let mut at = 0;
        while let Some(one) = kept.get(at) {
            kept.extend(self.needs[*one].clone());
            at += 1;
        }
        !kept.contains(&index)
    }

    fn terminate(&mut self, id: UnitId, pid: u32) {
        assert_eq!(self.alive.get(&pid), Some(&id.0), "ends what is its own");
        assert!(self.told.insert(pid), "is asked to end once");
        // One that is not ready in time is ended whoever still runs.
        if self.stop_requested && self.log == Some(id.0) && self.heard.contains(&pid) {
            let mut alive = self.alive.values();
            assert!(
                !alive.any(|owner| self.is_before_log(*owner)),
                "the log stops last"
            );
        }
        if self.stop_requested {
            for (dependant, needs) in self.needs.iter().enumerate() {
                let lives = self.alive.values().any(|owner| *owner == dependant);
                assert!(
                    !needs.contains(&id.0) || !lives,
                    "stops after what needs it"
                );
            }
        }
    }

    fn check(&self) {
        let shown = self.supervisor.services();
        for (index, service) in shown.iter().enumerate() {
            let pid = self
                .alive
                .iter()
                .find(|(_, owner)| **owner == index)
                .map(|(pid, _)| *pid);
            // Within nested actions a service may be between launch and report.
            if service.pid.is_some() {
                assert_eq!(service.pid, pid, "knows its process");
            }
            if service.state == ServiceState::Restarting {
                assert!(self.supervisor.next_deadline().is_some(), "will be woken");
            }
        }
        assert!(self.ready <= 1, "ready is said once");
    }

    fn step(&mut self) {
        let actions = match self.random.below(12) {
            0..=2 => self.time_passes(),
            3..=6 => {
                let pid = self.some_pid();
                let notification = Notification {
                    ready: self.random.below(2) == 0,
                    stopping: self.random.below(8) == 0,
                    watchdog: self.random.below(2) == 0,
                    status: (self.random.below(4) == 0).then(|| "well".to_owned()),
                };
                if notification.ready {
                    self.heard.insert(pid);
                }
                self.supervisor.notified(pid, &notification, self.now)
            }
            7..=9 => {
                let pid = self.some_pid();
                self.end(pid)
            }
            10 => self
                .supervisor
                .exited(1_000_000, &Exit::Status(0), self.now),
            _ if self.random.below(40) == 0 => {
                self.stop_requested = true;
                self.supervisor.stop(Stop::PowerOff, self.now)
            }
            _ => self.supervisor.tick(self.now),
        };
        self.carry_out(actions);
    }

    fn time_passes(&mut self) -> Vec<Action> {
        let span = u64::try_from(self.random.below(4_000_000)).expect("small");
        self.now = self.now.plus(Moment::from_microseconds(span));
        self.supervisor.tick(self.now)
    }

    fn some_pid(&mut self) -> u32 {
        let count = self.alive.len();
        if count == 0 {
            return 1_000_000;
        }
        let index = self.random.below(count);
        self.alive.keys().copied().nth(index).unwrap_or(1_000_000)
    }

    fn end(&mut self, pid: u32) -> Vec<Action> {
        self.alive.remove(&pid);
        let exit = match self.random.below(4) {
            0 => Exit::Status(0),
            1 => Exit::Status(1),
            2 => Exit::OutOfMemory,
            _ => Exit::Signal(11),
        };
        self.supervisor.exited(pid, &exit, self.now)
    }
}

#[test]
fn whatever_happens_the_rules_hold_and_stopping_ends() {
    for seed in 1..=1500_u64 {
        let mut world = World::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let actions = world.supervisor.begin(world.now);
        world.carry_out(actions);
        for _ in 0..200 {
            if world.finished > 0 {
                break;
            }
            world.step();
        }
        if world.finished == 0 {
            world.stop_requested = true;
            let actions = world.supervisor.stop(Stop::PowerOff, world.now);
            world.carry_out(actions);
        }
        // Left alone, without a single exit: the deadlines alone must lead to the end.
        let mut rounds = 0;
        while world.finished == 0 {
            let deadline = world
                .supervisor
                .next_deadline()
                .unwrap_or_else(|| panic!("seed {seed}: nobody will wake it"));
            world.now = world.now.max(deadline);
            let actions = world.supervisor.tick(world.now);
            world.carry_out(actions);
            rounds += 1;
            assert!(rounds < 100, "seed {seed}: no end");
        }
        assert_eq!(world.finished, 1);
    }
}
