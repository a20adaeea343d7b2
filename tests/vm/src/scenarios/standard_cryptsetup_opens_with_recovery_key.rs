//! Disaster recovery: the disk in another computer, with nothing but a Debian and the
//! recovery key. The same tools look for keys that must not be there.

use anyhow::{Result, ensure};

use crate::bench::Bench;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "standard_cryptsetup_opens_with_recovery_key",
    claim: "Standard tools on another machine open and check the state with the recovery key, and with \
            nothing else.",
    class: Class::Default,
    run,
};

const TASK: &str = r#"
device=$(partition state)
# Keys that somebody might have left behind, or that everybody knows.
for key in '' bastide state 0000-0000-0000-0000-0000-0000-0000-0000-0000 "${KEY,,}" "${KEY//-/}"; do
    if printf %s "$key" | cryptsetup open --test-passphrase --key-file=- "$device" 2> log; then
        result opens-with "$key"
    fi
done
dd if=/dev/zero of=zeros bs=64 count=1 status=none
cryptsetup open --test-passphrase --key-file zeros "$device" 2> log && result opens-with zeros
cryptsetup luksDump --dump-json-metadata "$device" > metadata
result slots "$(jq -c '.keyslots | keys' metadata)"
result integrity "$(jq -r '.segments["0"].integrity.type' metadata)"
result sector "$(jq -r '.segments["0"].sector_size' metadata)"
open_state "$KEY" --readonly
result opened
# On a copy-on-write of the machine that is thrown away: the journal may be played back.
cryptsetup close state
open_state "$KEY"
e2fsck -E journal_only -y /dev/mapper/state > log
e2fsck -f -n /dev/mapper/state > log && result clean
mkdir -p /run/state
mount -t ext4 -o ro,nosuid,nodev,noexec /dev/mapper/state /run/state
result files "$(find /run/state -type f | wc -l)"
# What is PID 1's own is no service's.
for directory in $(find /run/state/lib -mindepth 1 -maxdepth 1 ! -name bastide); do result service "$(stat -c '%a %U %n' "$directory")"; done
"#;

fn run(bench: &Bench) -> Result<()> {
    let provisioned = bench.provisioned()?;
    let task = format!("KEY={}\n{TASK}", provisioned.recovery_key);
    let disk = provisioned.installation.disk_to_look_at();
    let found = bench.rescue("rescue", &task, &disk, None)?;
    for expected in ["slots [\"0\",\"1\"]", "sector 4096", "opened", "clean"] {
        ensure!(
            found.iter().any(|line| line == expected),
            "the rescue machine does not say {expected:?}: {found:?}"
        );
    }
    for unexpected in ["opens-with", "integrity null", "files 0"] {
        ensure!(
            !found.iter().any(|line| line.starts_with(unexpected)),
            "the rescue machine says {unexpected:?}: {found:?}"
        );
    }
    let mut services = found.iter().filter_map(|line| line.strip_prefix("service "));
    ensure!(
        services.clone().count() > 0 && services.all(|line| line.starts_with("700 ")),
        "services can look into one another's directories: {found:?}"
    );
    Ok(())
}
