//! An engine that is stopped or killed leaves nothing running.
//!
//! Signals go to a whole process, so the engine runs in one of its own: this test
//! program again, told by an environment variable where.

use std::ffi::OsStr;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use bastide_recipe::Error;
use bastide_recipe::files::Scratch;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::{Bench, engine_in, step};

/// Where the engine to be stopped has its SDK and cache.
const PLACE: &str = "BASTIDE_TEST_PLACE";

/// Starts the other process: it runs only the test named `test`.
fn start(bench: &Bench, test: &str) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("ending::{test}")])
        .env(PLACE, bench.directory.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// In the other process: runs a step that sleeps for `seconds`.
fn sleep(place: &OsStr, seconds: &str) -> Result<(), Error> {
    // A shell that ignores the polite signals must end as well.
    let script = format!("trap '' INT TERM HUP; sleep {seconds} & wait");
    engine_in(place.as_ref())
        .run(&step(&script, vec![]))
        .map(|_| ())
}

/// How many processes sleep for `seconds`; an odd duration tells whose they are.
fn sleeping(seconds: &str) -> usize {
    let command = format!("sleep\0{seconds}\0");
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
        .filter(|line| line == command.as_bytes())
        .count()
}

/// Waits for something to become true, far longer than it takes.
fn eventually(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "never came true"
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_signal_ends_the_sandbox_and_leaves_nothing_behind() {
    const SECONDS: &str = "987.6543";
    if let Some(place) = std::env::var_os(PLACE) {
        let result = sleep(&place, SECONDS);
        assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
        return;
    }
    let bench = Bench::new();
    let mut other = start(
        &bench,
        "a_signal_ends_the_sandbox_and_leaves_nothing_behind",
    );
    eventually(|| sleeping(SECONDS) == 1);
    kill(Pid::from_raw(other.id() as i32), Signal::SIGINT).unwrap();
    assert!(other.wait().unwrap().success());
    eventually(|| sleeping(SECONDS) == 0);
    let left = fs::read_dir(bench.path("cache/tmp")).unwrap().count();
    assert_eq!(left, 1, "only the sweeping lock");
}

#[test]
fn a_killed_engine_takes_its_sandbox_along_and_is_tidied_up_after() {
    const SECONDS: &str = "986.5432";
    if let Some(place) = std::env::var_os(PLACE) {
        panic!("outlived its end: {:?}", sleep(&place, SECONDS));
    }
    let bench = Bench::new();
    let test = "a_killed_engine_takes_its_sandbox_along_and_is_tidied_up_after";
    let mut other = start(&bench, test);
    eventually(|| sleeping(SECONDS) == 1);
    other.kill().unwrap();
    other.wait().unwrap();
    eventually(|| sleeping(SECONDS) == 0);
    let tmp = bench.path("cache/tmp");
    let left = || fs::read_dir(&tmp).unwrap().count();
    assert_eq!(left(), 2, "the scratch directory and the lock");
    drop(Scratch::new(&tmp, "next").unwrap());
    assert_eq!(left(), 1, "only the lock");
}
