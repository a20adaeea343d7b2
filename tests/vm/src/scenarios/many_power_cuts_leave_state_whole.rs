//! The campaign: fifty cuts.

use super::power_cuts_leave_state_whole::campaign;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "many_power_cuts_leave_state_whole",
    claim: "Fifty power cuts, spread over first boots and writing, leave a machine that goes on after each.",
    class: Class::Long,
    run: |bench| campaign(bench, 50),
};
