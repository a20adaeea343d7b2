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

ukify build \
  --linux="/in/kernel/$KERNEL_FILE" \
  --initrd=/in/initramfs/initramfs.cpio.zst \
  --cmdline=@/in/cmdline \
  --os-release=@/in/os-release \
  --uname="$KERNEL_RELEASE" \
  --sbat=@/in/sbat.csv \
  --stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub \
  "${key[@]}" --pcr-public-key=pcr.pub --phases=enter-initrd --pcr-banks=sha256 \
  --output=/out/unsigned.efi
ukify inspect /out/unsigned.efi --json=pretty > /out/uki.json

# Read back what firmware will measure.
for section in cmdline:/in/cmdline osrel:/in/os-release initrd:/in/initramfs/initramfs.cpio.zst; do
  objcopy --dump-section ".${section%%:*}=section" /out/unsigned.efi read-back.efi
  size=$(stat --format=%s "${section#*:}")
  head --bytes="$size" section | cmp - "${section#*:}"
done
