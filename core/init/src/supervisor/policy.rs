//! Whether and when a service that ended is started again.

use std::time::Duration;

use bastide_config::service::{Readiness, Restart, RestartWhen};

use super::action::{Exit, Moment};
use super::unit::Unit;

/// What becomes of a service whose process ended by itself.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Finished,
    Restart { at: Moment, why: String },
    Fail { why: String },
}

/// Decides, and remembers the restart in the unit's window.
pub(super) fn after_exit(
    unit: &mut Unit,
    exit: &Exit,
    reason: Option<String>,
    was_ready: bool,
    now: Moment,
) -> Verdict {
    let Some(definition) = &unit.definition else {
        return Verdict::Fail {
            why: exit.to_string(),
        };
    };
    let early = definition.readiness == Readiness::Notify && !was_ready;
    let success = exit.is_success() && reason.is_none() && !early;
    let why = match reason {
        Some(reason) => reason,
        None if early && exit.is_success() => "ended before it was ready".to_owned(),
        None => exit.to_string(),
    };
    let restart = definition.restart;
    match (restart.when, success) {
        (RestartWhen::Never | RestartWhen::OnFailure, true) => Verdict::Finished,
        (RestartWhen::Never, false) => Verdict::Fail { why },
        (RestartWhen::OnFailure, false) | (RestartWhen::Always, _) => {
            again(unit, restart, why, now)
        }
    }
}

fn again(unit: &mut Unit, restart: Restart, why: String, now: Moment) -> Verdict {
    while let Some(oldest) = unit.recent.front() {
        if oldest.after(restart.window) > now {
            break;
        }
        unit.recent.pop_front();
    }
    let recent = u32::try_from(unit.recent.len()).unwrap_or(u32::MAX);
    if recent >= restart.limit {
        let window = restart.window.as_secs();
        return Verdict::Fail {
            why: format!("{why}; started again {recent} times within {window} s already"),
        };
    }
    let at = now.after(pause(restart, recent));
    unit.recent.push_back(now);
    Verdict::Restart { at, why }
}

/// The pause before a restart: the first delay, doubled for each restart within
/// the window, the longest delay at most.
fn pause(restart: Restart, recent: u32) -> Duration {
    let factor = 2_u32.checked_pow(recent).unwrap_or(u32::MAX);
    restart
        .first_delay
        .saturating_mul(factor)
        .min(restart.longest_delay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let restart = Restart {
            when: RestartWhen::Always,
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(1),
            limit: 1000,
            window: Duration::from_secs(60),
        };
        let pauses: Vec<u128> = (0..6)
            .map(|recent| pause(restart, recent).as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pause(restart, u32::MAX), Duration::from_secs(1));
    }
}
