# Builds the unified kernel image, not yet signed for Secure Boot, with the
# signatures for PCR 11 in it.
#
# Signed phase path: `enter-initrd` only. systemd-stub measures the sections, our
# initramfs measures that word before it asks the TPM for the state key and
# `leave-initrd` afterwards, so the signed policy holds for no earlier and no
# later moment: not for the boot loader, not for the running system.

case "$PCR_KEY_SOURCE" in
  file) key=(--pcr-private-key="$PCR_KEY") ;;
  *) echo "a $PCR_KEY_SOURCE key cannot sign PCR policies yet" >&2; exit 1 ;;
esac
openssl x509 -in "$PCR_CERTIFICATE" -noout -pubkey > pcr.pub

bundle() { # output, further options
  ukify build \
    --linux="/in/kernel/$KERNEL_FILE" \
    --initrd=/in/initramfs/initramfs.cpio.zst \
    --cmdline=@/in/cmdline \
    --os-release=@/in/os-release \
    --uname="$KERNEL_RELEASE" \
    --sbat=@/in/sbat.csv \
    --stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub \
    --pcrpkey=pcr.pub \
    --output="$@"
}
unhex() { # hexadecimal digits -> bytes
  tr a-f A-F <<< "$1" | basenc --base16 --decode
}

# What PCR 11 will hold, signed as systemd does.
bundle measured.efi "${key[@]}" --pcr-public-key=pcr.pub --phases=enter-initrd --pcr-banks=sha256
objcopy --dump-section .pcrsig=measured.pcrsig measured.efi copy.efi
tr -d '\0' < measured.pcrsig > pcrsig
policy=$(sed -n 's/.*"pol": *"\([0-9a-f]\{64\}\)".*/\1/p' pcrsig)
fingerprint=$(sed -n 's/.*"pkfp": *"\([0-9a-f]\{64\}\)".*/\1/p' pcrsig)
if [[ ! $policy =~ ^[0-9a-f]{64}$ || ! $fingerprint =~ ^[0-9a-f]{64}$ || $(tail --bytes=1 pcrsig) != '}' ]]; then
  echo 'ukify signed something else than one policy for PCR 11' >&2
  exit 1
fi

# Our policy is that one, and "no newer release was here": PolicyNV on the version
# counter, as a TPM hashes it (proto/tpm). Signed with the same key, under a key of its
# own in the same JSON, which systemd's tools pass over.
#
# Systemd's list stays for those tools. It knows of no version, so it must open nothing of
# ours: what we sign ends in the policy reference, and what we seal demands that.
{ unhex "$policy"; unhex "$VERSION_POLICY"; } | openssl dgst -sha256 -binary > policy
{ cat policy; printf %s "$POLICY_REFERENCE"; } > approval
openssl dgst -sha256 -sign "$PCR_KEY" approval > signature
printf '%s,"bastide":[{"pcrs":[11],"pkfp":"%s","pol":"%s","sig":"%s","version":%s}]}' \
  "$(head --bytes=-1 pcrsig)" "$fingerprint" "$(basenc --base16 --wrap=0 policy | tr A-F a-f)" \
  "$(base64 --wrap=0 signature)" "$RELEASE" > bastide.pcrsig

# The bundle again with both signatures. They are not measured, so they may be put in
# after what they sign; everything else must be as it was.
bundle /out/unsigned.efi --section=.pcrsig:@bastide.pcrsig
for bundle in measured.efi /out/unsigned.efi; do
  objdump --section-headers "$bundle" | sed -n 's/^ *[0-9]* \(\.[a-z0-9]*\) .*/\1/p' | grep -vx .pcrsig > sections
  while read -r section; do
    objcopy --dump-section "$section=section" "$bundle" copy.efi
    echo "$section $(openssl dgst -sha256 -r section)"
  done < sections > "$(basename "$bundle").sections"
done
cmp measured.efi.sections unsigned.efi.sections
ukify inspect /out/unsigned.efi --json=pretty > /out/uki.json

# Read back what firmware will measure.
for section in cmdline:/in/cmdline osrel:/in/os-release initrd:/in/initramfs/initramfs.cpio.zst; do
  objcopy --dump-section ".${section%%:*}=section" /out/unsigned.efi read-back.efi
  size=$(stat --format=%s "${section#*:}")
  head --bytes="$size" section | cmp - "${section#*:}"
done
