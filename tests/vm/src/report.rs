//! What a campaign found, for people and machines.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use serde::Serialize;

/// Counts of one campaign.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    campaign: &'static str,
    seed: u64,
    seconds: f64,
    counts: BTreeMap<String, u64>,
    rounds: Vec<(u64, &'static str)>,
    #[serde(skip)]
    started: Instant,
}

impl Report {
    /// An empty report.
    pub fn new(campaign: &'static str, seed: u64) -> Self {
        Self {
            campaign,
            seed,
            seconds: 0.0,
            counts: BTreeMap::new(),
            rounds: Vec::new(),
            started: Instant::now(),
        }
    }

    /// Counts one more of `what`.
    pub fn count(&mut self, what: &str) {
        self.add(what, 1);
    }

    /// Counts `number` more of `what`.
    pub fn add(&mut self, what: &str, number: u64) {
        *self.counts.entry(what.to_owned()).or_default() += number;
    }

    /// Keeps how the round of `seed` ended.
    pub fn note(&mut self, seed: u64, outcome: &'static str) {
        self.rounds.push((seed, outcome));
    }

    /// Writes `<date> <campaign>.json` and `.md` into `directory`.
    pub fn write(&mut self, directory: &Path) -> Result<()> {
        self.seconds = self.started.elapsed().as_secs_f64();
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let stem = format!("{}-{}", date(now), self.campaign.replace(' ', "-"));
        fs::create_dir_all(directory)?;
        let file = directory.join(format!("{stem}.json"));
        fs::write(&file, serde_json::to_vec_pretty(self)?)
            .with_context(|| format!("cannot write {}", file.display()))?;
        let mut text = format!(
            "# {}\n\nFirst seed {}, {:.0} s.\n\n| what | how often |\n| --- | --- |\n",
            self.campaign, self.seed, self.seconds
        );
        for (what, count) in &self.counts {
            writeln!(text, "| {what} | {count} |")?;
        }
        let file = directory.join(format!("{stem}.md"));
        fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        Ok(())
    }
}

/// `YYYY-MM-DDThhmmss` in UTC (civil-from-days, Howard Hinnant).
fn date(seconds: u64) -> String {
    let days = seconds / 86_400 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let clock = seconds % 86_400;
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}{:02}{:02}",
        clock / 3_600,
        clock / 60 % 60,
        clock % 60
    )
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_are_those_of_the_calendar() {
        assert_eq!(date(0), "1970-01-01T000000");
        assert_eq!(date(951_782_399), "2000-02-28T235959");
        assert_eq!(date(951_782_400), "2000-02-29T000000");
        assert_eq!(date(1_795_305_600), "2026-11-22T000000");
    }
}
