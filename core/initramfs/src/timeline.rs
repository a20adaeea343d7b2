//! When each step was done.

use std::time::Duration;

use bastide_boot::StepTime;
use rustix::time::{ClockId, clock_gettime};

/// The steps done so far.
#[derive(Debug, Default)]
pub struct Timeline(Vec<StepTime>);

impl Timeline {
    /// Notes that a step is done.
    pub fn done(&mut self, name: &str) {
        self.0.push(StepTime {
            name: name.to_owned(),
            monotonic: microseconds(ClockId::Monotonic),
            boottime: microseconds(ClockId::Boottime),
        });
    }

    /// The steps, in the order done.
    pub fn into_steps(self) -> Vec<StepTime> {
        self.0
    }
}

fn microseconds(clock: ClockId) -> u64 {
    let time = clock_gettime(clock);
    // Both clocks count from the kernel's start: neither is negative, nor runs over.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
    u64::try_from(Duration::new(seconds, nanoseconds).as_micros()).unwrap_or(u64::MAX)
}
