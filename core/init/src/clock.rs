//! The monotonic clock, which counts from the start of the kernel.

use rustix::time::{ClockId, Timespec, clock_gettime};

use crate::supervisor::Moment;

/// Now.
pub fn now() -> Moment {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or(0);
    Moment::from_microseconds(
        seconds
            .saturating_mul(1_000_000)
            .saturating_add(nanoseconds / 1000),
    )
}

/// A span as poll(2) takes it, rounded up so that waking is never too early.
pub fn span(span: Moment) -> Timespec {
    let microseconds = span.microseconds().saturating_add(1);
    let seconds = i64::try_from(microseconds / 1_000_000).unwrap_or(i64::MAX);
    let rest = i64::try_from(microseconds % 1_000_000).unwrap_or(0);
    Timespec {
        tv_sec: seconds,
        tv_nsec: rest.saturating_mul(1000),
    }
}
