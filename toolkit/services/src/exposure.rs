//! How exposed a service is: what it can reach, beside the items and weights that
//! `systemd-analyze security` scores (systemd, src/analyze/analyze-security.c).
//!
//! The arithmetic is systemd's: each item has a badness from 0 to its range and a
//! weight; the exposure is the sum of `weight * badness / range` over the sum of the
//! weights, both roundings up, from 0.0 to 10.0. The items are answered for what PID 1
//! applies, which is not always what systemd would do to the same end.

mod bounding_set;
mod items;
mod page;
mod reach;
mod system_calls;

use std::fmt;

use bastide_config::service::Service;
use serde::{Serialize, Serializer};

pub use page::{page, sheet, summary, violation};
pub(crate) use reach::{access, resource};

/// What an item is about. The order is that of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    /// Who it is.
    User,
    /// What it may become.
    Privileges,
    /// Which parts of root's power it has.
    Capabilities,
    /// What it shares with the rest of the machine, and whether it can make more.
    Namespaces,
    /// Files.
    FileSystem,
    /// Devices.
    Devices,
    /// The kernel's own: /proc, settings, log, clock, modules.
    Kernel,
    /// The network.
    Network,
    /// Sockets it may make.
    AddressFamilies,
    /// System calls it may make.
    SystemCalls,
    /// Memory that is written and executed.
    Memory,
    /// Whom it talks to.
    Calls,
    /// How much it may use.
    Limits,
}

impl Topic {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::User,
        Self::Privileges,
        Self::Capabilities,
        Self::Namespaces,
        Self::FileSystem,
        Self::Devices,
        Self::Kernel,
        Self::Network,
        Self::AddressFamilies,
        Self::SystemCalls,
        Self::Memory,
        Self::Calls,
        Self::Limits,
    ];

    /// The words for people.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Privileges => "privileges",
            Self::Capabilities => "capabilities",
            Self::Namespaces => "namespaces",
            Self::FileSystem => "file system",
            Self::Devices => "devices",
            Self::Kernel => "kernel",
            Self::Network => "network",
            Self::AddressFamilies => "address families",
            Self::SystemCalls => "system calls",
            Self::Memory => "memory",
            Self::Calls => "calls",
            Self::Limits => "limits",
        }
    }
}

/// An exposure in tenths: 0 to 100 stand for 0.0 to 10.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tenths(u64);

impl Tenths {
    /// The word that systemd-analyze(1) uses for it.
    #[must_use]
    pub fn level(self) -> &'static str {
        match self.0 {
            0 => "PERFECT",
            1..10 => "SAFE",
            10..50 => "OK",
            50..75 => "MEDIUM",
            75..90 => "EXPOSED",
            90..100 => "UNSAFE",
            _ => "DANGEROUS",
        }
    }
}

impl fmt::Display for Tenths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.0 / 10, self.0 % 10)
    }
}

impl Serialize for Tenths {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One item that systemd-analyze scores.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Item {
    /// What it is about.
    pub topic: Topic,
    /// systemd's name: the setting of systemd.exec(5) that it judges.
    pub name: &'static str,
    /// systemd's weight.
    pub weight: u64,
    /// The worst badness there is.
    pub range: u64,
    /// How bad it is; `None` when the question does not arise, and the weight does
    /// not count either.
    pub badness: Option<u64>,
    /// What is so for the service.
    pub finding: String,
}

impl Item {
    /// What it adds to the sum: the weighted badness.
    fn burden(&self) -> u64 {
        let badness = self.badness.unwrap_or(0);
        (badness * self.weight).div_ceil(self.range.max(1))
    }

    fn counted_weight(&self) -> u64 {
        self.badness.map_or(0, |_| self.weight)
    }
}

/// A topic with what it comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The topic.
    pub topic: Topic,
    /// What the service can reach.
    pub reach: String,
    /// The sum of the weights of its items; 0: systemd does not score it.
    pub weight: u64,
    /// Its part of the service's exposure, in hundredths of a point.
    pub hundredths: u64,
}

/// The exposure of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The service.
    pub service: String,
    /// 0.0 to 10.0.
    pub exposure: Tenths,
    /// The word for it.
    pub level: &'static str,
    /// By topic.
    pub topics: Vec<Line>,
    /// By item, the heaviest first within a topic.
    pub items: Vec<Item>,
}

impl Exposure {
    /// Scores a service by its definition.
    #[must_use]
    pub fn of(service: &Service) -> Self {
        let mut items = items::all(service);
        items.sort_by_key(|item| (item.topic, std::cmp::Reverse(item.weight), item.name));
        let weights: u64 = items.iter().map(Item::counted_weight).sum();
        let burden: u64 = items.iter().map(Item::burden).sum();
        let exposure = Tenths((burden * 100).div_ceil(weights.max(1)));
        let topics = Topic::ALL.map(|topic| {
            let own = || items.iter().filter(|item| item.topic == topic);
            let burden: u64 = own().map(Item::burden).sum();
            Line {
                topic,
                reach: reach::of(service, topic),
                weight: own().map(Item::counted_weight).sum(),
                hundredths: (burden * 1000).div_ceil(weights.max(1)),
            }
        });
        Self {
            service: service.name.to_string(),
            exposure,
            level: exposure.level(),
            topics: topics.to_vec(),
            items,
        }
    }

    /// The items that count against it.
    fn faults(&self) -> impl Iterator<Item = &Item> {
        self.items
            .iter()
            .filter(|item| item.badness.is_some_and(|badness| badness > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn the_arithmetic_is_systemds() {
        let item = |badness, range, weight| Item {
            topic: Topic::User,
            name: "x",
            weight,
            range,
            badness,
            finding: String::new(),
        };
        assert_eq!(item(Some(9), 10, 250).burden(), 225);
        assert_eq!(item(Some(1), 3, 1000).burden(), 334);
        assert_eq!(item(Some(0), 1, 1000).burden(), 0);
        assert_eq!(item(None, 1, 1000).counted_weight(), 0);
    }

    #[test]
    fn words_change_where_systemds_do() {
        for (tenths, level) in [
            (0, "PERFECT"),
            (1, "SAFE"),
            (9, "SAFE"),
            (10, "OK"),
            (49, "OK"),
            (50, "MEDIUM"),
            (75, "EXPOSED"),
            (90, "UNSAFE"),
            (100, "DANGEROUS"),
        ] {
            assert_eq!(Tenths(tenths).level(), level);
        }
        assert_eq!(Tenths(7).to_string(), "0.7");
        assert_eq!(Tenths(100).to_string(), "10.0");
    }

    /// systemd has 80 items that weigh 56,435 in all: a row that is
    /// lost or mistyped would make the figures incomparable.
    #[test]
    fn every_item_of_systemd_is_answered_once() {
        let items = items::all(&samples::least());
        let names: std::collections::BTreeSet<&str> = items.iter().map(|item| item.name).collect();
        assert_eq!(names.len(), items.len());
        assert_eq!(items.len(), 80);
        assert_eq!(items.iter().map(|item| item.weight).sum::<u64>(), 56_435);
    }

    #[test]
    fn a_grant_raises_the_figure() {
        let least = Exposure::of(&samples::least());
        let page = Exposure::of(&samples::page());
        let reckless = Exposure::of(&samples::reckless());
        assert!(least.exposure < page.exposure, "{}", page.exposure);
        assert!(page.exposure < reckless.exposure, "{}", reckless.exposure);
        assert_eq!(least.level, "SAFE");
        for name in [
            "User=/DynamicUser=",
            "CapabilityBoundingSet=~CAP_SYS_ADMIN",
            "PrivateNetwork=",
            "SystemCallFilter=~@mount",
            "SystemCallFilter=~@debug",
            "RestrictNamespaces=~CLONE_NEWUSER",
            "RestrictAddressFamilies=~AF_(INET|INET6)",
            "ProtectKernelLogs=",
            "DeviceAllow=",
        ] {
            let fault = |exposure: &Exposure| exposure.faults().any(|item| item.name == name);
            assert!(fault(&reckless), "{name}");
            assert!(!fault(&least), "{name}");
        }
    }

    #[test]
    fn the_parts_add_up_to_the_whole() {
        for service in [samples::least(), samples::page(), samples::reckless()] {
            let exposure = Exposure::of(&service);
            let parts: u64 = exposure.topics.iter().map(|line| line.hundredths).sum();
            let whole = exposure.exposure.0 * 10;
            // Each part is rounded up, and so is the whole.
            assert!(parts.abs_diff(whole) <= 10 + 13, "{parts} and {whole}");
        }
    }
}
