//! The changes that a default run leaves out: a line goes, two change places, the end of an
//! earlier boot's log is cut off, a whole file goes.

use super::log_changes_are_found::{MORE_CHANGES, attack, machine_with_a_past};
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "every_log_change_is_found",
    claim: "A log entry that was dropped or reordered, an earlier boot's log that was cut, and a file of it \
            that is gone, are found by verifying.",
    class: Class::Long,
    run: |bench| attack(bench, &machine_with_a_past(bench)?, MORE_CHANGES),
};
