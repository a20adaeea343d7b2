//! The scenarios, one file each, named as the claim they try to refute.

use crate::scenario::Scenario;

macro_rules! scenarios {
    ($($name:ident),* $(,)?) => {
        $(mod $name;)*

        /// All scenarios, in the order in which they run.
        pub const ALL: &[Scenario] = &[$($name::SCENARIO),*];
    };
}

scenarios![
    only_owner_keys_are_enrolled,
    machine_comes_up,
    console_powers_off_and_reboots,
    unsigned_uki_is_refused,
    foreign_uki_is_refused,
    changed_uki_is_refused,
    replaced_boot_loader_is_refused,
    command_line_cannot_be_edited,
    vendor_strings_cannot_lengthen_command_line,
    single_core_corruption_is_repaired,
    core_beyond_repair_is_refused,
    changed_superblock_is_refused,
    other_core_is_refused,
    look_alike_disk_is_passed_over,
    state_is_provisioned_and_opened,
    disk_in_another_machine_stays_shut,
    changed_secure_boot_keeps_state_shut,
    older_release_cannot_open_state,
    boot_partition_decides_nothing,
    foreign_state_is_refused,
    flipped_bits_in_state_are_errors,
    recovery_key_opens_and_reseals,
    escrow_medium_gets_recovery_key,
    standard_cryptsetup_opens_with_recovery_key,
    other_signed_system_cannot_unseal,
    tpm_bus_shows_no_secret,
    running_system_cannot_unseal_again,
    compromised_service_is_contained,
    crash_of_init_is_recorded,
    log_changes_are_found,
    log_flood_displaces_nothing,
    full_state_degrades_and_says_so,
    power_cuts_leave_state_whole,
    scenarios_can_fail,
    many_power_cuts_leave_state_whole,
    every_log_change_is_found,
    power_cuts_leave_a_bootable_disk,
    bit_flips_are_repaired_or_refused,
    hostile_bytes_panic_no_parser,
];

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn names_are_claims_and_unique() {
        for (index, scenario) in ALL.iter().enumerate() {
            assert!(scenario.name.contains('_'), "{}", scenario.name);
            assert!(scenario.claim.ends_with('.'), "{}", scenario.claim);
            assert!(ALL[..index].iter().all(|other| other.name != scenario.name));
        }
    }
}
