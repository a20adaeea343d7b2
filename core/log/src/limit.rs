//! How much a source may say: a bucket of entries and one of bytes, which fill with
//! time. A stream that tells of several users has such buckets for each.

use std::collections::BTreeMap;

use bastide_log_format::record::Dropped;

use crate::settings::{SECOND, Settings};

/// While a flood goes on, how often its record is written at most, in microseconds.
const REPORT: u64 = 5 * SECOND;

/// Users of a stream with buckets of their own; the others share those of nobody.
const MOST_USERS: usize = 64;

/// The buckets of a stream.
#[derive(Debug)]
pub struct Limit {
    settings: Settings,
    users: BTreeMap<Option<u32>, Buckets>,
    dropped: Dropped,
    /// When the first of them was dropped.
    since: u64,
    /// When the last was.
    last: u64,
}

#[derive(Debug)]
struct Buckets {
    records: Bucket,
    bytes: Bucket,
    /// When they were filled up to.
    filled_at: u64,
}

#[derive(Debug)]
struct Bucket {
    /// In millionths, so that short spans fill it as well.
    level: u64,
    full: u64,
    per_microsecond: u64,
}

impl Limit {
    /// Full buckets.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            settings: *settings,
            users: BTreeMap::new(),
            dropped: Dropped::default(),
            since: 0,
            last: 0,
        }
    }

    /// Whether an entry of so many bytes, about a user if the stream tells of several, may
    /// pass at `now`, in microseconds: the time that goes by fills the buckets.
    pub fn passes(&mut self, user: Option<u32>, bytes: u64, now: u64) -> bool {
        let full = self.users.len() >= MOST_USERS;
        let user = user.filter(|_| !full || self.users.contains_key(&user));
        let settings = &self.settings;
        let buckets = self
            .users
            .entry(user)
            .or_insert_with(|| Buckets::new(settings, now));
        if buckets.take(bytes, now) {
            return true;
        }
        self.drop(bytes, now);
        false
    }

    /// Counts an entry that is not kept.
    pub fn drop(&mut self, bytes: u64, now: u64) {
        if self.dropped.records == 0 {
            self.since = now;
        }
        self.last = now;
        self.dropped.records = self.dropped.records.saturating_add(1);
        self.dropped.bytes = self.dropped.bytes.saturating_add(bytes);
    }

    /// When the record of what was dropped is due.
    #[must_use]
    pub fn report_at(&self) -> Option<u64> {
        let over = self.last.saturating_add(SECOND);
        let still = self.since.saturating_add(REPORT);
        (self.dropped.records > 0).then(|| over.min(still))
    }

    /// What was dropped since it was last asked for, if it is due.
    pub fn report(&mut self, now: u64) -> Option<Dropped> {
        self.report_at()
            .filter(|due| *due <= now)
            .map(|_| std::mem::take(&mut self.dropped))
    }

    /// The record of it could not be kept: it is still to be told.
    pub fn give_back(&mut self, dropped: Dropped) {
        self.dropped.records = self.dropped.records.saturating_add(dropped.records);
        self.dropped.bytes = self.dropped.bytes.saturating_add(dropped.bytes);
    }

    /// What was dropped, due or not: the log ends.
    pub fn last_report(&mut self) -> Option<Dropped> {
        let dropped = std::mem::take(&mut self.dropped);
        (dropped.records > 0).then_some(dropped)
    }
}

impl Buckets {
    fn new(settings: &Settings, now: u64) -> Self {
        Self {
            records: Bucket::new(settings.records_at_once, settings.records_per_second),
            bytes: Bucket::new(settings.bytes_at_once, settings.bytes_per_second),
            filled_at: now,
        }
    }

    fn take(&mut self, bytes: u64, now: u64) -> bool {
        let before = std::mem::replace(&mut self.filled_at, now);
        let span = now.saturating_sub(before);
        self.records.fill(span);
        self.bytes.fill(span);
        let enough = self.records.has(1) && self.bytes.has(bytes);
        if enough {
            self.records.take(1);
            self.bytes.take(bytes);
        }
        enough
    }
}

impl Bucket {
    fn new(at_once: u64, per_second: u64) -> Self {
        let full = at_once.saturating_mul(SECOND);
        Self {
            level: full,
            full,
            per_microsecond: per_second,
        }
    }

    fn fill(&mut self, span: u64) {
        let more = span.saturating_mul(self.per_microsecond);
        self.level = self.level.saturating_add(more).min(self.full);
    }

    fn has(&self, amount: u64) -> bool {
        self.level >= amount.saturating_mul(SECOND)
    }

    fn take(&mut self, amount: u64) {
        self.level = self.level.saturating_sub(amount.saturating_mul(SECOND));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_user_s_flood_is_not_another_s() {
        let settings = Settings {
            records_at_once: 10,
            ..Settings::default()
        };
        let mut limit = Limit::new(&settings);
        for _ in 0..100 {
            limit.passes(Some(501), 10, 0);
        }
        assert!(!limit.passes(Some(501), 10, 0));
        assert!(limit.passes(Some(502), 10, 0) && limit.passes(None, 10, 0));
        // Users without end do not fill the memory.
        for user in 1000..10_000 {
            limit.passes(Some(user), 10, 0);
        }
        assert!(limit.users.len() <= MOST_USERS + 1);
        assert!(limit.passes(Some(502), 10, 0));
    }

    #[test]
    fn a_flood_is_held_to_its_rate_and_counted() {
        let settings = Settings {
            records_at_once: 10,
            records_per_second: 2,
            ..Settings::default()
        };
        let mut limit = Limit::new(&settings);
        let mut passed = 0;
        // 1000 entries within 10 seconds.
        for step in 0..1000_u64 {
            let now = step * 10_000;
            passed += u32::from(limit.passes(None, 10, now));
        }
        assert_eq!(passed, 10 + 19);
        assert_eq!(
            limit.report(10_000_000).map(|dropped| dropped.records),
            Some(1000 - 29)
        );
        assert_eq!(limit.report_at(), None);
        limit.drop(7, 20_000_000);
        assert_eq!(limit.report(20_999_999), None);
        let dropped = limit.report(21_000_000);
        assert_eq!(
            dropped,
            Some(Dropped {
                records: 1,
                bytes: 7
            })
        );
    }
}
