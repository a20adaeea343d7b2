//! When each step of a boot happened, read from the console.

use std::fmt;
use std::time::Duration;

use crate::console::Line;
use crate::signs;

/// A step of the boot that shows on the console.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Milestone {
    /// The firmware's first text.
    Firmware,
    /// The firmware starts the boot loader.
    BootLoader,
    /// The kernel is entered: its clock starts.
    Kernel,
    /// The initramfs runs.
    Initramfs,
    /// The encrypted state is open.
    StateOpened,
    /// The Core is verified and about to be entered.
    EnteringCore,
    /// PID 1 runs.
    Init,
    /// The status page is drawn.
    StatusPage,
    /// All wanted services are ready, or a login prompt is shown.
    Ready,
}

impl Milestone {
    /// All of them, in the usual order of time.
    pub const ALL: [Self; 9] = [
        Self::Firmware,
        Self::BootLoader,
        Self::Kernel,
        Self::Initramfs,
        Self::StateOpened,
        Self::EnteringCore,
        Self::Init,
        Self::StatusPage,
        Self::Ready,
    ];

    /// The text that shows it; none for what is computed.
    fn markers(self) -> &'static [&'static str] {
        match self {
            Self::Firmware => &[],
            Self::BootLoader => &["BdsDxe: starting"],
            Self::Kernel => &["EFI stub: ", "Linux version "],
            Self::Initramfs => &["bastide: initramfs started"],
            Self::StateOpened => &[signs::OPENED_BY_TPM, signs::OPENED_BY_RECOVERY],
            Self::EnteringCore => &[signs::ENTERING_CORE],
            Self::Init => &["bastide: init started", "Welcome to Debian"],
            Self::StatusPage => &[signs::PAGE],
            Self::Ready => &["bastide: ready", signs::LOGIN],
        }
    }
}

impl fmt::Display for Milestone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Firmware => "firmware speaks",
            Self::BootLoader => "boot loader started",
            Self::Kernel => "kernel entered",
            Self::Initramfs => "initramfs started",
            Self::StateOpened => "state opened",
            Self::EnteringCore => "Core verified, entering it",
            Self::Init => "PID 1 started",
            Self::StatusPage => "status page",
            Self::Ready => "ready",
        })
    }
}

/// The times of one boot, each from power-on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BootTimes(Vec<(Milestone, Duration)>);

impl BootTimes {
    /// Reads the first boot out of a console's lines.
    pub fn from_lines(lines: &[Line]) -> Self {
        let mut times = Vec::new();
        for milestone in Milestone::ALL {
            let at = match milestone {
                Milestone::Firmware => lines
                    .iter()
                    .find(|line| !line.text.trim().is_empty())
                    .map(|line| line.at),
                Milestone::Kernel => {
                    kernel_entry(lines).or_else(|| first_marker(lines, milestone.markers()))
                }
                other => first_marker(lines, other.markers()),
            };
            if let Some(at) = at {
                times.push((milestone, at));
            }
        }
        times.sort_by_key(|(_, at)| *at);
        Self(times)
    }

    /// When `milestone` was reached, from power-on.
    pub fn at(&self, milestone: Milestone) -> Option<Duration> {
        self.0
            .iter()
            .find(|(reached, _)| *reached == milestone)
            .map(|(_, at)| *at)
    }

    /// From one milestone to another, if both were reached in that order.
    pub fn between(&self, from: Milestone, to: Milestone) -> Option<Duration> {
        self.at(to)?.checked_sub(self.at(from)?)
    }
}

impl fmt::Display for BootTimes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "{:<28} {:>10} {:>10}", "boot step", "at", "took")?;
        let mut before = Duration::ZERO;
        for (milestone, at) in &self.0 {
            let took = at.saturating_sub(before);
            writeln!(
                formatter,
                "{milestone:<28} {:>8.2} s {:>8.2} s",
                at.as_secs_f64(),
                took.as_secs_f64()
            )?;
            before = *at;
        }
        Ok(())
    }
}

/// A line that comes with the kernel's clock is dated by it (see
/// [`kernel_entry`]), since under load the serial line lags.
fn first_marker(lines: &[Line], markers: &[&str]) -> Option<Duration> {
    let line = lines
        .iter()
        .find(|line| markers.iter().any(|marker| line.text.contains(marker)))?;
    match (kernel_entry(lines), kernel_clock(&line.text)) {
        (Some(entry), Some(clock)) => Some(entry + clock),
        _ => Some(line.at),
    }
}

/// When the kernel's clock started, in host time: the smallest difference between
/// a line's arrival and the time printed in front of it.
///
/// On a busy host an emulated kernel misjudges its processor's speed, and its clock
/// runs several times too fast. Such a clock dates its own start before the boot
/// loader's, which shows it up; then there is no answer.
fn kernel_entry(lines: &[Line]) -> Option<Duration> {
    let entry = lines
        .iter()
        .filter_map(|line| Some((line.at, kernel_clock(&line.text)?)))
        .map(|(at, clock)| at.saturating_sub(clock))
        .min()?;
    let before = lines
        .iter()
        .rev()
        .find(|line| line.text.contains("EFI stub: ") || line.text.contains("BdsDxe: starting"))
        .map_or(Duration::ZERO, |line| line.at);
    (entry >= before).then_some(entry)
}

/// The kernel's own time stamp: `[    1.234567] text`.
fn kernel_clock(text: &str) -> Option<Duration> {
    let (stamp, _) = text.strip_prefix('[')?.split_once(']')?;
    let (seconds, fraction) = stamp.trim().split_once('.')?;
    let seconds: u64 = seconds.parse().ok()?;
    let micros: u32 = (fraction.len() == 6).then(|| fraction.parse().ok())??;
    (micros < 1_000_000).then(|| Duration::new(seconds, micros * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: u64, text: &str) -> Line {
        Line {
            at: Duration::from_millis(at),
            text: text.to_owned(),
        }
    }

    #[test]
    fn the_kernel_dates_its_own_lines() {
        let times = BootTimes::from_lines(&[
            line(9_000, ""),
            line(10_000, "BdsDxe: starting Boot0001"),
            line(14_000, "EFI stub: UEFI Secure Boot is enabled."),
            line(16_000, "[    1.000000] bastide: initramfs started"),
            line(19_000, "[    2.500000] bastide: ready"),
        ]);
        assert_eq!(times.at(Milestone::Firmware), Some(Duration::from_secs(10)));
        assert_eq!(times.at(Milestone::Kernel), Some(Duration::from_secs(15)));
        // Printed late, dated by the kernel: entry + 2.5 s.
        assert_eq!(
            times.at(Milestone::Ready),
            Some(Duration::from_millis(17_500))
        );
        assert_eq!(
            times.between(Milestone::Initramfs, Milestone::Ready),
            Some(Duration::from_millis(1_500))
        );
        assert_eq!(times.at(Milestone::StatusPage), None);
    }

    #[test]
    fn a_clock_that_runs_too_fast_is_not_believed() {
        let times = BootTimes::from_lines(&[
            line(16_300, "BdsDxe: starting Boot0001"),
            line(25_600, "EFI stub: UEFI Secure Boot is enabled."),
            line(34_400, "[   31.704673] bastide: initramfs started"),
            line(34_420, "[   31.725863] bastide: ready"),
        ]);
        assert_eq!(
            times.at(Milestone::Kernel),
            Some(Duration::from_millis(25_600))
        );
        assert_eq!(
            times.at(Milestone::Ready),
            Some(Duration::from_millis(34_420))
        );
    }

    #[test]
    fn hostile_stamps_are_no_times() {
        for text in [
            "[9.9]",
            "[99999999999999999999.000000] x",
            "[ -1.000000] x",
            "[1.9999999] x",
            "[",
            "[]",
        ] {
            assert_eq!(kernel_clock(text), None, "{text}");
        }
    }
}
