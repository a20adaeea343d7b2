//! A signal to the engine ends what runs inside, and leaves nothing behind. Apart
//! from the other tests, since the signal goes to this whole process.

mod support;

use std::fs;
use std::time::{Duration, Instant};

use bastide_recipe::Error;
use support::{Bench, step};

#[test]
fn a_signal_ends_the_sandbox_and_a_rerun_resumes() {
    let bench = Bench::new();
    let engine = bench.engine();
    // The odd duration is how the sleeping process is recognised below.
    let sleeping = || {
        fs::read_dir("/proc")
            .unwrap()
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("cmdline")).ok())
            .filter(|line| line.starts_with(b"sleep\x00987.6543"))
            .count()
    };
    let started = Instant::now();
    let result = std::thread::scope(|scope| {
        scope.spawn(|| {
            while sleeping() == 0 && started.elapsed() < Duration::from_secs(20) {
                std::thread::sleep(Duration::from_millis(20));
            }
            let me = nix::unistd::Pid::this();
            nix::sys::signal::kill(me, nix::sys::signal::Signal::SIGINT).unwrap();
        });
        // A shell that ignores the polite signals must end as well.
        engine.run(&step("trap '' INT TERM HUP; sleep 987.6543 & wait", vec![]))
    });
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    assert!(started.elapsed() < Duration::from_secs(20));
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(sleeping(), 0);
    let left = fs::read_dir(bench.path("cache/tmp")).unwrap().count();
    assert_eq!(left, 1, "only the sweeping lock");
}
