//! The whole machine is stolen: disk, TPM and firmware. The thief boots another system that
//! the owner signed too, so that Secure Boot and PCR 7 are as they should be, with every
//! tool that there is for TPMs, and the owner's own signatures over the right policy.

use anyhow::{Context, Result, ensure};

use crate::bench::{Bench, read};
use crate::boot_file::section;
use crate::scenario::{Class, Scenario};

pub const SCENARIO: Scenario = Scenario {
    name: "other_signed_system_cannot_unseal",
    claim: "On the very machine, with the right PCR 7, another kernel bundle that the owner signed does not \
            get at the state's key.",
    class: Class::Default,
    run,
};

/// The sealed secret in the volume's tokens is in hexadecimal: 108 bytes, then public and
/// private part.
const ATTACK: &str = r#"
export TPM2TOOLS_TCTI=device:/dev/tpmrm0
for number in 7 11; do
    result "pcr-$number" "$(tpm2_pcrread "sha256:$number" | grep -o '0x.*' | tr 'A-Z' 'a-z' | cut -c3-)"
done
tpm2_readpublic -c 0x81000001 > log 2>&1 && result storage-root
tpm2_nvread 0x01b05701 > record 2> log && result record "$(stat -c %s record)"
cryptsetup luksDump --dump-json-metadata "$(partition state)" > metadata
jq -r '.tokens | .. | strings' metadata > strings
while read -r text; do
    printf %s "$text" | xxd -r -p > blob
    if [[ $(head -c 7 blob | tr -d '\0') == bastide ]]; then cp blob sealed; fi
done < strings
[[ -e sealed ]] || { result no-sealed-secret; exit 0; }
tail -c +113 sealed > parts
size=$((16#$(xxd -p -l 2 parts)))
head -c $((size + 2)) parts > public
tail -c +$((size + 3)) parts > private
tpm2_load -C 0x81000001 -u public -r private -c object > log 2>&1 && result loaded

unseal() { # what was tried, authorisation
    if tpm2_unseal -c object "${@:2}" > secret 2> log; then
        result UNSEALED "$1"
    else
        result refused "$1"
    fi
}
session() {
    tpm2_flushcontext session.ctx > log 2>&1 || true
    tpm2_startauthsession --policy-session -S session.ctx > log 2>&1
}
policy() { # what
    "$@" -S session.ctx > log 2>&1 || true
}

unseal without-authorisation
session
policy tpm2_policypcr -l sha256:7
unseal pcr-7 -p session:session.ctx
session
policy tpm2_policypcr -l sha256:11
policy tpm2_policypcr -l sha256:7
unseal pcr-11-and-7 -p session:session.ctx

# The owner's signature, as the owner's own initramfs would use it.
printf '%s' "$PCR_SIGNATURES" > signatures.json
printf '%s' "$PCR_KEY" > key.pem
tpm2_loadexternal -C o -G rsa -u key.pem -c key.ctx -n key.name > log 2>&1 && result key-loaded
authorised() { # what
    jq -c '(.bastide // [])[], (.sha256 // [])[]' signatures.json > approved
    while read -r entry; do
        jq -r .pol <<< "$entry" | xxd -r -p > policy.bin
        jq -r .sig <<< "$entry" | base64 -d > signature.bin
        # Ours are signed with a word, systemd's without: each is tried in both ways.
        for word in '' bastide; do
            printf %s "$word" > word
            cat policy.bin word > approval
            tpm2_verifysignature -c key.ctx -g sha256 -m approval -s signature.bin -f rsassa -t ticket > log 2>&1 ||
                continue
            result signature-valid
            session
            policy tpm2_policypcr -l sha256:11
            printf '%016x' "$(jq -r '.version // 0' <<< "$entry")" | xxd -r -p > release
            if [[ $word ]]; then policy tpm2_policynv -i release 0x01b05702 ule; fi
            policy tpm2_policyauthorize -i policy.bin -n key.name ${word:+-q word} -t ticket
            policy tpm2_policypcr -l sha256:7
            tail -c +13 record | head -c 4 > sealings
            policy tpm2_policynv -i sealings --offset 12 0x01b05701 eq
            unseal "$1" -p session:session.ctx
        done
    done < approved
}
authorised signed-policy
# And the initramfs's word on top.
tpm2_pcrextend "11:sha256=$(printf enter-initrd | sha256sum | cut -d' ' -f1)" > log 2>&1
authorised signed-policy-after-the-word
"#;

fn run(bench: &Bench) -> Result<()> {
    let stolen = bench
        .provisioned()?
        .installation
        .lend(&bench.record().join("stolen-machine"))?;
    let bundle = read(&bench.image("bastide.efi"))?;
    let text = |name: &str| -> Result<String> {
        let bytes = &bundle[section(&bundle, name)?];
        let text = String::from_utf8(bytes.to_vec())?;
        Ok(text.trim_end_matches(['\0', '\n']).to_owned())
    };
    let (signatures, key) = (text(".pcrsig")?, text(".pcrpkey")?);
    ensure!(
        !signatures.contains('\'') && !key.contains('\''),
        "a quote in the bundle's signatures"
    );
    let task = format!("PCR_SIGNATURES='{signatures}'\nPCR_KEY='{key}'\n{ATTACK}");
    let found = bench.rescue("thief", &task, &stolen.disk(), Some(&stolen))?;
    let has = |start: &str| found.iter().any(|line| line.starts_with(start));
    // Counter-proofs: this is the TPM, this is the sealed secret, the signatures are good.
    for start in ["storage-root", "record 144", "loaded", "key-loaded", "signature-valid"] {
        ensure!(has(start), "the attack did not get as far as {start:?}: {found:?}");
    }
    let refused = found.iter().filter(|line| line.starts_with("refused "));
    ensure!(refused.count() >= 5, "too few attempts: {found:?}");
    ensure!(!has("UNSEALED"), "the secret was unsealed: {found:?}");
    let pcr_7 = found.iter().find_map(|line| line.strip_prefix("pcr-7 "));
    let pcr_7 = pcr_7.context("the rescue machine has no PCR 7")?;
    ensure!(
        bench.provisioned()?.console.to_lowercase().contains(&pcr_7[..16]),
        "the thief's PCR 7 is not the owner's, so that this attack shows little: {pcr_7}"
    );
    Ok(())
}
