//! The clocks.

use bastide_log_format::record::Stamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Now, by both clocks. Timers here go by the second, which counts sleep and never
/// goes back.
#[must_use]
pub fn now() -> Stamp {
    Stamp {
        time: microseconds(clock_gettime(ClockId::Realtime)),
        boottime: microseconds(clock_gettime(ClockId::Boottime)),
    }
}

fn microseconds(time: Timespec) -> u64 {
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    seconds
        .saturating_mul(1_000_000)
        .saturating_add(nanoseconds / 1000)
}

/// A span in microseconds as poll(2) takes it, rounded up so that waking is never too
/// early.
#[must_use]
pub fn span(microseconds: u64) -> Timespec {
    let microseconds = microseconds.saturating_add(1);
    Timespec {
        tv_sec: i64::try_from(microseconds / 1_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(microseconds % 1_000_000)
            .unwrap_or(0)
            .saturating_mul(1000),
    }
}
