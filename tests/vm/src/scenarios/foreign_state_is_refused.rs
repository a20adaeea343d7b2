//! The state partition is replaced by a volume that the attacker made, with everything a
//! volume of ours has, and a key that he knows: first with the machine's TPM as it is,
//! then with one that was cleared.

use anyhow::{Context, Result, ensure};
use bastide_vm::signs::{OPENED, OPENED_BY_RECOVERY, PROVISIONING, RECOVERY_PROMPT, STATE_REFUSED};

use crate::bench::{Bench, FIRST_BOOT, PATIENCE, start};
use crate::provisioned::recovery_key;
use crate::recovery::{Shut, expect_prompt_or_refusal};
use crate::scenario::{Class, Scenario};
use crate::state::State;

pub const SCENARIO: Scenario = Scenario {
    name: "foreign_state_is_refused",
    claim: "A volume that somebody else put in place of the state is never opened, whatever key he types, \
            nor taken over by a machine whose TPM was cleared.",
    class: Class::Default,
    run,
};

/// Makes the attacker's volume as much like ours as he can: the same cipher, sectors and
/// keyslots, the same UUID and tokens, an ext4 with the same label.
const FORGE: &str = r#"
device=$(partition state)
cryptsetup luksDump --dump-json-metadata "$device" > theirs.json
uuid=$(cryptsetup luksUUID "$device")
for id in $(jq -r '.tokens | keys[]' theirs.json); do
    cryptsetup token export --token-id "$id" "$device" > "token.$id"
done
encryption=$(jq -r '.segments["0"].encryption' theirs.json)
integrity=$(jq -r '.segments["0"].integrity.type' theirs.json)
case $encryption in
    *xts*) arguments=(--cipher "$encryption" --key-size 512 --integrity hmac-sha256) ;;
    *aegis128*) arguments=(--cipher "$encryption" --key-size 128 --integrity aead) ;;
    chacha20*) arguments=(--cipher "$encryption" --key-size 256 --integrity poly1305) ;;
    *) arguments=(--cipher "$encryption" --key-size 256 --integrity aead) ;;
esac
result forging "$encryption" "$integrity"
printf %s "$KEY" > key
cryptsetup luksFormat --batch-mode --type luks2 --uuid "$uuid" --sector-size 4096 \
    --pbkdf pbkdf2 --pbkdf-force-iterations 1000 --key-file key --key-slot 1 \
    "${arguments[@]}" "$device"
cryptsetup luksAddKey --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
    --key-file key --key-slot 1 --new-key-slot 0 --new-keyfile key "$device" ||
    cryptsetup luksAddKey --batch-mode --pbkdf pbkdf2 --pbkdf-force-iterations 1000 \
        --key-file key --new-key-slot 0 "$device" key
for token in token.*; do
    cryptsetup token import --token-id "${token#token.}" "$device" < "$token" ||
        result "no $token"
done
cryptsetup open --key-file key "$device" forged
mke2fs -q -t ext4 -b 4096 -L state /dev/mapper/forged
mkdir -p /run/forged
mount -t ext4 /dev/mapper/forged /run/forged
mkdir -p /run/forged/lib
echo evil > /run/forged/lib/evil
umount /run/forged
cryptsetup close forged
cryptsetup luksDump --dump-json-metadata "$device" | jq -c '.keyslots | keys' > slots
result forged "$(cat slots)"
"#;

fn run(bench: &Bench) -> Result<()> {
    let machine = bench.own_copy("machine")?;
    let key = recovery_key(*b"somebody else's key!");
    let task = format!("KEY={key}\n{FORGE}");
    let found = bench.rescue("workbench", &task, &machine.disk(), None)?;
    ensure!(
        found.iter().any(|line| line.starts_with("forged")),
        "the attacker's volume was not made: {found:?}"
    );
    let disk = machine.open_disk()?;
    State::new(&disk).context("the attacker's volume is none")?;

    let running = start(&machine.inhabit(bench.machine("own-tpm")))?;
    if expect_prompt_or_refusal(running.console())? == Shut::Asks {
        running.console().send(&format!("{key}\r"))?;
        let unwanted = [OPENED, &[OPENED_BY_RECOVERY, PROVISIONING]].concat();
        running
            .console()
            .expect_any(&[RECOVERY_PROMPT, STATE_REFUSED], &unwanted, PATIENCE)
            .context("after the attacker typed his own key")?;
    }
    drop(running);

    machine.replace_tpm()?;
    let running = start(&machine.inhabit(bench.machine("cleared-tpm")))?;
    let wanted = [RECOVERY_PROMPT, STATE_REFUSED, PROVISIONING];
    let seen = running
        .console()
        .expect_any(&wanted, OPENED, PATIENCE)
        .context("with the TPM cleared")?;
    if seen.index == 2 {
        // Made anew is safe too, as long as nothing of the attacker's is left.
        let ends = ["% prepared", STATE_REFUSED];
        running.console().expect_any(&ends, &[], FIRST_BOOT)?;
    }
    Ok(())
}
