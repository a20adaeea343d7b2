# Follows the chain of trust on the finished disk as a machine will, with standard
# tools and nothing but the owner's certificates. Each step judged its own output;
# this one knows only the disk.

mebibyte=$((1024 * 1024))
sfdisk --dump /in/disk/disk.img > table
partition() { # field and value -> start and size in MiB
  sed -n "s/.*start= *\([0-9]*\), size= *\([0-9]*\),.*$1=\"\?$2\"\?.*/\1 \2/Ip" table | while read -r start size; do
    echo "$((start / 2048)) $((size / 2048))"
  done
}

read -r esp_start _ < <(partition name esp)
esp=/in/disk/disk.img@@$((esp_start * mebibyte))
export MTOOLS_SKIP_CHECK=1
mcopy -n -i "$esp" ::/EFI/BOOT/BOOTX64.EFI boot-loader.efi
mcopy -n -i "$esp" "::/EFI/Linux/$UKI_NAME" uki.efi
for binary in boot-loader.efi uki.efi; do
  sbverify --cert /in/db.crt "$binary"
done

# The command line names the Core...
objcopy --dump-section .cmdline=cmdline --dump-section .initrd=initrd uki.efi copy.efi
word() { tr -d '\0' < cmdline | tr ' ' '\n' | sed -n "s/^$1=//p"; }
root_hash=$(word bastide.core)
hash_offset=$(word bastide.hash-offset)
if [[ ! $root_hash =~ ^[0-9a-f]{64}$ ]]; then
  echo 'the command line of the UKI names no Core' >&2
  exit 1
fi

# ... which lies where the Discoverable Partitions Specification says, alone.
uuid="${root_hash:0:8}-${root_hash:8:4}-${root_hash:12:4}-${root_hash:16:4}-${root_hash:20:12}"
partition uuid "$uuid" > found
if (($(wc --lines < found) != 1)); then
  echo "there is not exactly one partition with the UUID $uuid" >&2
  exit 1
fi
read -r core_start core_size < found
dd if=/in/disk/disk.img of=core.img bs=1M skip="$core_start" count="$core_size" conv=sparse status=none
data_blocks=$((hash_offset / 4096))
hash_blocks=1
level=$data_blocks
while ((level > 1)); do
  level=$(((level + 127) / 128))
  hash_blocks=$((hash_blocks + level))
done
veritysetup verify core.img core.img "$root_hash" --hash-offset="$hash_offset" \
  --fec-device=core.img --fec-offset=$((hash_offset + hash_blocks * 4096)) --fec-roots=2
truncate --size="$hash_offset" core.img
fsck.erofs core.img

# The initramfs carries the signature of that hash, by the owner's image key.
mkdir initramfs
zstd --quiet --decompress --stdout initrd | (cd initramfs && cpio --extract --quiet --make-directories)
printf '%s' "$root_hash" > text
openssl x509 -in /in/image.crt -outform der | cmp - initramfs/image.crt
openssl smime -verify -binary -noverify -nointern -inform der -in initramfs/core.p7s \
  -content text -certfile /in/image.crt -out /dev/null
tr -d '\0' < cmdline | cmp - initramfs/cmdline

# PCR 11 policies are there for the phase in which the state key may be asked for: one as
# systemd signs it, and ours, which adds that no newer release was here and is signed
# together with the policy reference. Systemd's must not do for ours.
objcopy --dump-section .pcrsig=pcrsig --dump-section .pcrpkey=pcrpkey uki.efi copy.efi
tr -d '\0' < pcrsig > policies
openssl x509 -in /in/pcr.crt -noout -pubkey > pcr.pub
tr -d '\0' < pcrpkey | cmp - pcr.pub
entry='{"pcrs": *\[11\], *"pkfp": *"[0-9a-f]*", *"pol": *"\([0-9a-f]\{64\}\)", *"sig": *"\([A-Za-z0-9+/=]*\)"'
if ! grep --quiet --line-regexp "{\"sha256\": *\[$entry}\],\"bastide\":\[$entry,\"version\":$RELEASE}\]}" policies; then
  echo "the UKI does not carry exactly one policy of systemd's and one of ours, for release $RELEASE" >&2
  exit 1
fi
unhex() { # hexadecimal digits -> bytes
  tr a-f A-F <<< "$1" | basenc --base16 --decode
}
field() { # back reference
  sed "s|.*\"sha256\": *\[$entry}.*\"bastide\":\[$entry.*|\\$1|" policies
}
unhex "$(field 1)" > systemd.policy
field 2 | base64 --decode > systemd.signature
{ cat systemd.policy; unhex "$VERSION_POLICY"; } | openssl dgst -sha256 -binary > bastide.policy
field 4 | base64 --decode > bastide.signature
unhex "$(field 3)" | cmp - bastide.policy
approval() { # policy -> what is signed to approve it
  cat "$1"
  printf %s "$POLICY_REFERENCE"
}
approval bastide.policy > bastide.approval
approval systemd.policy > systemd.approval
openssl dgst -sha256 -verify pcr.pub -signature systemd.signature systemd.policy
openssl dgst -sha256 -verify pcr.pub -signature bastide.signature bastide.approval
if openssl dgst -sha256 -verify pcr.pub -signature systemd.signature systemd.approval > /dev/null 2>&1; then
  echo "systemd's signature would open the state to every release" >&2
  exit 1
fi
echo "$root_hash" > /out/checked
