//! Every byte between processor and TPM, of a first boot and of a later one, read by
//! somebody who tapped the wires.

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, start};
use crate::page::expect_up;
use crate::scenario::{Class, Scenario};
use crate::tpm_bus::judge;

pub const SCENARIO: Scenario = Scenario {
    name: "tpm_bus_shows_no_secret",
    claim: "A tap on the TPM's bus reads no secret: neither while the state is made nor while it is opened.",
    class: Class::Default,
    run,
};

/// The key of the volume, for whoever knows the recovery key.
const VOLUME_KEY: &str = r#"
printf %s "$KEY" > key
cryptsetup luksDump --batch-mode --dump-volume-key --volume-key-file volume-key --key-file key "$(partition state)" > log
result volume-key "$(xxd -p -c 256 volume-key)"
"#;

fn run(bench: &Bench) -> Result<()> {
    let provisioned = bench.provisioned()?;
    let made = judge(&provisioned.traffic).context("while the state was made")?;
    ensure!(made.taken > 0, "the tap has missed how the secret was sealed");

    let mut machine = bench.provisioned_machine("machine")?;
    machine.trace_tpm = true;
    let running = start(&machine)?;
    expect_up(&running, &bench.root_hash()?)?;
    let traffic = running.tpm_traffic()?;
    let opened = judge(&traffic).context("while the state was opened")?;
    ensure!(opened.unsealed > 0, "the tap has missed how the secret was unsealed");
    drop(running);

    let key = &provisioned.recovery_key;
    let disk = provisioned.installation.disk_to_look_at();
    let found = bench.rescue("rescue", &format!("KEY={key}\n{VOLUME_KEY}"), &disk, None)?;
    let volume_key = found.iter().find_map(|line| line.strip_prefix("volume-key "));
    let volume_key = hex::decode(volume_key.context("no volume key")?)?;
    ensure!(volume_key.len() >= 16, "a volume key of {} bytes", volume_key.len());
    // Halves as well: ciphers take keys apart.
    let halves = volume_key.chunks(16).chain([key.as_bytes(), volume_key.as_slice()]);
    for secret in halves {
        for traffic in [&provisioned.traffic, &traffic] {
            ensure!(!traffic.holds(secret), "a secret went over the TPM's bus in clear");
        }
    }
    Ok(())
}
