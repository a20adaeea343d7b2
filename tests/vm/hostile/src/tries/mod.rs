//! What is tried, by name. A try that returns without error has succeeded.

mod devices;
mod files;
mod flood;
mod kernel;
mod memory;
mod mounts;
mod network;
mod processes;
mod tpm;
pub mod varlink;

use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::report::exit_code;

type Try = fn() -> Result<()>;

/// All tries without parameters.
const TRIES: &[(&str, Try)] = &[
    ("write-core", files::write_core),
    ("write-root", files::write_root),
    ("write-run", files::write_run),
    ("write-home-of-programs", files::write_new_program),
    ("run-from-temporary", files::run_from_temporary),
    ("settings", files::settings),
    ("fill-state", files::fill_state),
    ("internet-socket", network::internet_socket),
    ("internet-connect", network::internet_connect),
    ("packet-socket", network::packet_socket),
    ("netlink-socket", network::netlink_socket),
    ("vsock-socket", network::vsock_socket),
    ("ptrace-init", processes::ptrace_init),
    ("ptrace-child", processes::ptrace_child),
    ("signal-others", processes::signal_others),
    ("see-others", processes::see_others),
    ("fork-bomb", processes::fork_bomb),
    ("crash-init", processes::crash_init),
    ("become-root", processes::become_root),
    ("mount", mounts::mount_memory),
    ("remount", mounts::remount),
    ("user-namespace", mounts::user_namespace),
    ("change-root", mounts::change_root),
    ("make-device", devices::make_device),
    ("host-name", kernel::host_name),
    ("clock", kernel::clock),
    ("remove-module", kernel::remove_module),
    ("reboot-key", kernel::reboot_key),
    ("personality", kernel::personality),
    ("write-execute-memory", memory::write_execute),
    ("memory-hog", memory::hog),
    ("log-flood", flood::standard_output),
    ("log-forge", flood::forge),
    ("unseal-policy", tpm::unseal_policy),
    ("unseal-record", tpm::record),
];

/// Makes one try and tells by the exit code how it ended.
pub fn one(name: &str) -> ExitCode {
    exit_code(&find(name))
}

/// A try with a parameter.
type WithParameter = fn(&str) -> Result<()>;

/// Tries with a parameter: `<name>=<parameter>`.
const WITH_PARAMETER: &[(&str, WithParameter)] = &[
    ("read", files::read),
    ("list", files::list),
    ("write-into", files::write_into),
    ("open", devices::open),
    ("open-to-write", devices::open_to_write),
    ("call", varlink::call),
];

fn find(name: &str) -> Result<()> {
    if let Some((_, attempt)) = TRIES.iter().find(|(known, _)| *known == name) {
        return attempt();
    }
    if let Some((kind, parameter)) = name.split_once('=')
        && let Some((_, attempt)) = WITH_PARAMETER.iter().find(|(known, _)| *known == kind)
    {
        return attempt(parameter);
    }
    bail!("there is no try called {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Counter-proof: without a sandbox, what an ordinary user may do succeeds.
    #[test]
    fn outside_of_a_sandbox_tries_succeed() {
        let place = tempfile::tempdir().unwrap();
        let place = place.path().display();
        for name in [
            "internet-socket".to_owned(),
            "netlink-socket".to_owned(),
            "write-execute-memory".to_owned(),
            "see-others".to_owned(),
            "personality".to_owned(),
            "list=/proc".to_owned(),
            "read=/proc/version".to_owned(),
            format!("write-into={place}"),
        ] {
            // Each in a process of its own, as a service does it, would need the program;
            // those here leave nothing behind that matters.
            find(&name).unwrap_or_else(|error| panic!("{name}: {error:#}"));
        }
        assert!(find("no-such-try").is_err());
        assert!(find("read=/no/such/file").is_err());
    }

    #[test]
    fn the_services_try_what_there_is() {
        let services = concat!(env!("CARGO_MANIFEST_DIR"), "/services");
        let mut seen = 0;
        for entry in std::fs::read_dir(services).unwrap() {
            let entry = entry.unwrap();
            let text = std::fs::read_to_string(entry.path().join("service.toml")).unwrap();
            let definition: toml::Table = text.parse().unwrap();
            let words = definition["arguments"].as_array().unwrap();
            let words: Vec<&str> = words.iter().map(|word| word.as_str().unwrap()).collect();
            assert_eq!(words[0], entry.file_name().to_string_lossy());
            for word in &words[1..] {
                let kind = word.split_once('=').map_or(*word, |(kind, _)| kind);
                let plain = TRIES.iter().any(|(name, _)| name == word);
                let with = WITH_PARAMETER.iter().any(|(name, _)| *name == kind);
                assert!(plain || with, "{}: {word}", words[0]);
                seen += 1;
            }
        }
        assert!(seen > 80, "{seen}");
    }

    #[test]
    fn names_are_unique() {
        for (index, (name, _)) in TRIES.iter().enumerate() {
            assert!(
                TRIES[..index].iter().all(|(other, _)| other != name),
                "{name}"
            );
        }
    }
}
