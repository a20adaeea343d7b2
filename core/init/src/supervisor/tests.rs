//! Single decisions of the supervisor.

use std::path::Path;

use bastide_config::name::ServiceName;
use bastide_config::service::Service;
use bastide_ipc::init::{MachineState, ServiceState};

use super::*;

/// A service from a few lines; everything else as in the smallest definition.
pub(super) fn service(name: &str, rest: &str) -> (ServiceName, Result<Service, String>) {
    let readiness = if rest.contains("readiness") {
        ""
    } else {
        "readiness = \"notify\"\n"
    };
    let text = format!(
        "version = 1\ndescription = \"{name}\"\nprogram = \"/usr/lib/bastide/{name}\"\nuser = \"console-serial\"\nsystem-calls = [{{ allow = [\"@base\"], why = \"runs and does nothing else\" }}]\n{readiness}{rest}"
    );
    let name = ServiceName::new(name).expect("a name");
    let service = Service::parse(name.clone(), Path::new("test"), &text)
        .unwrap_or_else(|problems| panic!("{problems}"));
    (name, Ok(service))
}

fn seconds(seconds: u64) -> Moment {
    Moment::from_seconds(seconds)
}

fn ready() -> Notification {
    Notification {
        ready: true,
        ..Notification::default()
    }
}

fn launches(actions: &[Action]) -> Vec<usize> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Launch(id) => Some(id.0),
            _ => None,
        })
        .collect()
}

fn state(supervisor: &Supervisor, index: usize) -> ServiceState {
    supervisor.services()[index].state
}

#[test]
fn a_service_starts_once_its_needs_are_ready() {
    let mut supervisor = Supervisor::new(
        vec![service("leaf", "needs = [\"root\"]"), service("root", "")],
        "log",
    );
    assert_eq!(launches(&supervisor.begin(seconds(0))), [1]);
    assert!(launches(&supervisor.launched(UnitId(1), 10, seconds(1))).is_empty());
    let actions = supervisor.notified(10, &ready(), seconds(2));
    assert_eq!(launches(&actions), [0]);
    assert!(!actions.contains(&Action::Ready));
    supervisor.launched(UnitId(0), 11, seconds(2));
    let actions = supervisor.notified(11, &ready(), seconds(3));
    assert!(actions.contains(&Action::Ready));
    assert_eq!(supervisor.ready_at(), Some(seconds(3)));
    assert_eq!(supervisor.machine_state(), MachineState::Ready);
}

#[test]
fn a_message_from_a_stranger_makes_nothing_ready() {
    let mut supervisor = Supervisor::new(vec![service("one", "")], "log");
    supervisor.begin(seconds(0));
    supervisor.launched(UnitId(0), 10, seconds(0));
    supervisor.notified(11, &ready(), seconds(1));
    assert_eq!(state(&supervisor, 0), ServiceState::Starting);
}

#[test]
fn a_crashing_service_is_started_again_ever_later_and_fails_at_the_limit() {
    let policy = "restart = { when = \"on-failure\", first-delay-milliseconds = 1000, longest-delay-seconds = 3, limit = 3, window-seconds = 600 }";
    let mut supervisor = Supervisor::new(vec![service("one", policy)], "log");
    supervisor.begin(seconds(0));
    let mut now = seconds(0);
    let mut pauses = Vec::new();
    for pid in 1.. {
        supervisor.launched(UnitId(0), pid, now);
        supervisor.notified(pid, &ready(), now);
        supervisor.exited(pid, &Exit::Signal(11), now);
        if state(&supervisor, 0) == ServiceState::Failed {
            break;
        }
        let next = supervisor.next_deadline().expect("a restart");
        pauses.push(next.since(now).microseconds() / 1_000_000);
        assert!(launches(&supervisor.tick(now)).is_empty(), "too early");
        now = next;
        assert_eq!(launches(&supervisor.tick(now)), [0]);
    }
    assert_eq!(pauses, [1, 2, 3]);
    let shown = &supervisor.services()[0];
    assert_eq!(shown.restarts, 3);
    assert_eq!(
        shown.reason.as_deref(),
        Some("signal 11; started again 3 times within 600 s already")
    );
}

#[test]
fn restarts_outside_the_window_do_not_count() {
    let policy = "restart = { when = \"always\", first-delay-milliseconds = 1000, limit = 1, window-seconds = 10 }";
    let mut supervisor = Supervisor::new(vec![service("one", policy)], "log");
    supervisor.begin(seconds(0));
    for round in 0..5 {
        let now = seconds(100 * round);
        let pid = u32::try_from(round).expect("small") + 1;
        supervisor.launched(UnitId(0), pid, now);
        supervisor.notified(pid, &ready(), now);
        supervisor.exited(pid, &Exit::Status(0), now);
        assert_eq!(state(&supervisor, 0), ServiceState::Restarting);
        supervisor.tick(seconds(100 * round + 50));
    }
}

#[test]
fn a_failed_service_takes_down_what_needs_it() {
    let never = "restart = { when = \"never\" }";
    let mut supervisor = Supervisor::new(
        vec![
            service("root", never),
            service("middle", "needs = [\"root\"]"),
            service("leaf", "needs = [\"middle\"]"),
            service("other", ""),
        ],
        "log",
    );
    supervisor.begin(seconds(0));
    for (index, pid) in [(0, 10), (3, 13), (1, 11)] {
        supervisor.launched(UnitId(index), pid, seconds(0));
        supervisor.notified(pid, &ready(), seconds(0));
    }
    let actions = supervisor.exited(10, &Exit::Status(1), seconds(1));
    assert!(actions.contains(&Action::Terminate(UnitId(1), 11)));
    // The leaf was told to launch before the exit was seen.
    let actions = supervisor.launched(UnitId(2), 12, seconds(1));
    assert!(actions.contains(&Action::Terminate(UnitId(2), 12)));
    supervisor.exited(12, &Exit::Signal(15), seconds(2));
    supervisor.exited(11, &Exit::Signal(15), seconds(2));
    let states: Vec<ServiceState> = (0..4).map(|index| state(&supervisor, index)).collect();
    assert_eq!(
        states,
        [
            ServiceState::Failed,
            ServiceState::Blocked,
            ServiceState::Blocked,
            ServiceState::Ready
        ]
    );
    assert_eq!(supervisor.machine_state(), MachineState::Degraded);
    assert_eq!(supervisor.ready_at(), None);
}

#[test]
fn a_bad_definition_fails_alone() {
    let name = ServiceName::new("bad").expect("a name");
    let mut supervisor = Supervisor::new(
        vec![
            (name, Err("service.toml:3: no".to_owned())),
            service("good", ""),
            service("dependant", "needs = [\"bad\"]"),
            service("lost", "needs = [\"nowhere\"]"),
            service("one", "needs = [\"two\"]"),
            service("two", "needs = [\"one\"]"),
        ],
        "log",
    );
    let actions = supervisor.begin(seconds(0));
    assert_eq!(launches(&actions), [1]);
    let said: Vec<&str> = actions
        .iter()
        .filter_map(|action| match action {
            Action::Say(Level::Error, text) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(
        said,
        [
            "service bad failed: service.toml:3: no",
            "service lost failed: needs nowhere, which does not exist",
            "service one failed: one needs itself by way of others",
            "service two failed: two needs itself by way of others",
            "service dependant blocked: needs bad, which has failed",
        ]
    );
}

#[test]
fn a_service_that_never_gets_ready_is_ended_then_killed() {
    let text =
        "start-timeout-seconds = 5\nstop-timeout-seconds = 2\nrestart = { when = \"never\" }";
    let mut supervisor = Supervisor::new(vec![service("slow", text)], "log");
    supervisor.begin(seconds(0));
    supervisor.launched(UnitId(0), 10, seconds(0));
    assert_eq!(supervisor.next_deadline(), Some(seconds(5)));
    let actions = supervisor.tick(seconds(5));
    assert!(actions.contains(&Action::Terminate(UnitId(0), 10)));
    assert_eq!(supervisor.next_deadline(), Some(seconds(7)));
    let actions = supervisor.tick(seconds(7));
    assert!(actions.contains(&Action::Kill(UnitId(0), 10)));
    assert_eq!(supervisor.next_deadline(), None);
    supervisor.exited(10, &Exit::Signal(9), seconds(8));
    assert_eq!(state(&supervisor, 0), ServiceState::Failed);
    assert_eq!(
        supervisor.services()[0].reason.as_deref(),
        Some("not ready within 5 s")
    );
}

#[test]
fn a_silent_service_is_killed_by_its_watchdog() {
    let mut supervisor = Supervisor::new(vec![service("dog", "watchdog-seconds = 10")], "log");
    supervisor.begin(seconds(0));
    supervisor.launched(UnitId(0), 10, seconds(0));
    supervisor.notified(10, &ready(), seconds(0));
    let bark = Notification {
        watchdog: true,
        ..Notification::default()
    };
    supervisor.notified(10, &bark, seconds(8));
    assert!(supervisor.tick(seconds(17)).is_empty());
    let actions = supervisor.tick(seconds(18));
    assert!(actions.contains(&Action::Kill(UnitId(0), 10)));
}

#[test]
fn stopping_goes_backwards_along_the_needs() {
    let mut supervisor = Supervisor::new(
        vec![service("root", ""), service("leaf", "needs = [\"root\"]")],
        "log",
    );
    supervisor.begin(seconds(0));
    for (index, pid) in [(0, 10), (1, 11)] {
        supervisor.launched(UnitId(index), pid, seconds(0));
        supervisor.notified(pid, &ready(), seconds(0));
    }
    let actions = supervisor.stop(Stop::Reboot, seconds(1));
    assert!(actions.contains(&Action::Terminate(UnitId(1), 11)));
    assert!(!actions.contains(&Action::Terminate(UnitId(0), 10)));
    assert!(supervisor.stop(Stop::PowerOff, seconds(1)).is_empty());
    let actions = supervisor.exited(11, &Exit::Status(0), seconds(2));
    assert!(actions.contains(&Action::Terminate(UnitId(0), 10)));
    let actions = supervisor.exited(10, &Exit::Status(0), seconds(2));
    assert_eq!(actions.last(), Some(&Action::Finish(Stop::Reboot)));
    assert_eq!(supervisor.next_deadline(), None);
}

#[test]
fn stopping_ends_even_if_a_service_does_not() {
    let mut supervisor = Supervisor::new(vec![service("stuck", "")], "log");
    supervisor.begin(seconds(0));
    supervisor.launched(UnitId(0), 10, seconds(0));
    supervisor.stop(Stop::PowerOff, seconds(0));
    let mut last = Vec::new();
    while let Some(deadline) = supervisor.next_deadline() {
        assert!(deadline <= STOP_LIMIT);
        last = supervisor.tick(deadline);
    }
    assert_eq!(last.last(), Some(&Action::Finish(Stop::PowerOff)));
}

#[test]
fn no_services_are_ready_at_once() {
    let mut supervisor = Supervisor::new(Vec::new(), "log");
    assert!(supervisor.begin(seconds(1)).contains(&Action::Ready));
    let actions = supervisor.stop(Stop::PowerOff, seconds(2));
    assert_eq!(actions.last(), Some(&Action::Finish(Stop::PowerOff)));
}

#[test]
fn the_log_comes_first_and_goes_last() {
    let mut supervisor = Supervisor::new(
        vec![
            service("a", ""),
            service("below", ""),
            service("log", "needs = [\"below\"]"),
            service("z", ""),
        ],
        "log",
    );
    assert_eq!(launches(&supervisor.begin(seconds(0))), [1]);
    supervisor.launched(UnitId(1), 11, seconds(0));
    let actions = supervisor.notified(11, &ready(), seconds(1));
    assert_eq!(launches(&actions), [2]);
    assert!(launches(&supervisor.launched(UnitId(2), 12, seconds(1))).is_empty());
    let actions = supervisor.notified(12, &ready(), seconds(2));
    assert_eq!(launches(&actions), [0, 3]);
    for (index, pid) in [(0, 10), (3, 13)] {
        supervisor.launched(UnitId(index), pid, seconds(2));
        supervisor.notified(pid, &ready(), seconds(2));
    }

    let asked = |actions: &[Action]| -> Vec<usize> {
        let asked = actions.iter().filter_map(|action| match action {
            Action::Terminate(id, _) => Some(id.0),
            _ => None,
        });
        asked.collect()
    };
    let actions = supervisor.stop(Stop::PowerOff, seconds(10));
    assert_eq!(asked(&actions), [0, 3]);
    assert!(asked(&supervisor.exited(10, &Exit::Status(0), seconds(11))).is_empty());
    assert_eq!(
        asked(&supervisor.exited(13, &Exit::Status(0), seconds(11))),
        [2]
    );
    assert_eq!(
        asked(&supervisor.exited(12, &Exit::Status(0), seconds(12))),
        [1]
    );
}

#[test]
fn nobody_waits_for_a_log_that_does_not_come() {
    let log = || {
        service(
            "log",
            "start-timeout-seconds = 60\nrestart = { when = \"always\" }",
        )
    };
    // It hangs.
    let mut supervisor = Supervisor::new(vec![service("a", ""), log()], "log");
    assert_eq!(launches(&supervisor.begin(seconds(0))), [1]);
    supervisor.launched(UnitId(1), 11, seconds(0));
    assert!(launches(&supervisor.tick(seconds(4))).is_empty());
    assert_eq!(supervisor.next_deadline(), Some(seconds(5)));
    assert_eq!(launches(&supervisor.tick(seconds(5))), [0]);
    // It ends, and is started again, for which nobody waits.
    let mut supervisor = Supervisor::new(vec![service("a", ""), log()], "log");
    supervisor.begin(seconds(0));
    supervisor.launched(UnitId(1), 11, seconds(0));
    let actions = supervisor.exited(11, &Exit::Signal(9), seconds(1));
    assert_eq!(launches(&actions), [0]);
    // It is none.
    let broken = (
        ServiceName::new("log").expect("a name"),
        Err("no".to_owned()),
    );
    let mut supervisor = Supervisor::new(vec![service("a", ""), broken], "log");
    assert_eq!(launches(&supervisor.begin(seconds(0))), [0]);
}

#[test]
fn a_stubborn_service_leaves_the_log_time_to_stop() {
    let stubborn = service("a", "stop-timeout-seconds = 60");
    let mut supervisor = Supervisor::new(vec![stubborn, service("log", "")], "log");
    supervisor.begin(seconds(0));
    for (index, pid) in [(1, 11), (0, 10)] {
        supervisor.launched(UnitId(index), pid, seconds(1));
        supervisor.notified(pid, &ready(), seconds(1));
    }
    supervisor.stop(Stop::PowerOff, seconds(100));
    assert_eq!(supervisor.next_deadline(), Some(seconds(120)));
    assert!(
        supervisor
            .tick(seconds(120))
            .contains(&Action::Kill(UnitId(0), 10))
    );
}

#[test]
fn a_service_without_memory_says_so() {
    let mut supervisor = Supervisor::new(
        vec![service("hog", "restart = { when = \"never\" }")],
        "log",
    );
    supervisor.begin(seconds(0));
    supervisor.launched(UnitId(0), 10, seconds(0));
    supervisor.notified(10, &ready(), seconds(0));
    supervisor.exited(10, &Exit::OutOfMemory, seconds(1));
    assert_eq!(state(&supervisor, 0), ServiceState::Failed);
    let shown = &supervisor.services()[0];
    assert_eq!(shown.reason.as_deref(), Some("signal 9 (out of memory)"));
    assert_eq!(shown.last_exit, shown.reason);
}
