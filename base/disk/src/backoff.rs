//! How long to wait between looks at hardware that may not be there yet.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(5);
const LONGEST: Duration = Duration::from_millis(250);

/// Pauses that double from 5 ms to 250 ms and add up to a limit.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    left: Duration,
}

impl Backoff {
    /// Pauses that add up to `limit`.
    pub fn new(limit: Duration) -> Self {
        Self {
            next: FIRST,
            left: limit,
        }
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        if self.left.is_zero() {
            return None;
        }
        let pause = self.next.min(self.left);
        self.left -= pause;
        self.next = (self.next * 2).min(LONGEST);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_add_up_to_the_limit() {
        let limit = Duration::from_secs(10);
        let pauses: Vec<Duration> = Backoff::new(limit).collect();
        assert_eq!(pauses[..3], [5, 10, 20].map(Duration::from_millis));
        assert!(pauses.iter().all(|pause| *pause <= LONGEST));
        assert_eq!(pauses.iter().sum::<Duration>(), limit);
        assert_eq!(Backoff::new(Duration::ZERO).next(), None);
    }
}
