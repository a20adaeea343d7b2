# Composes disk.img without mounting anything: GPT by sfdisk, the ESP by mkfs.vfat
# and mtools in place, Core copied into the first slot. Times, serial numbers and
# UUIDs are given, so the same parts give the same bytes.

disk=/out/disk.img
mebibyte=$((1024 * 1024))
root_hash=$(cat /in/core/core.roothash)

# The Discoverable Partitions Specification: the root partition's UUID is the
# first half of the root hash.
core_uuid="${root_hash:0:8}-${root_hash:8:4}-${root_hash:12:4}-${root_hash:16:4}-${root_hash:20:12}"
derived_uuid() {
  local digest
  digest=$(printf 'bastide-disk\n%s\n%s' "$PRODUCT" "$1" | sha256sum)
  printf '%s-%s-8%s-8%s-%s\n' "${digest:0:8}" "${digest:8:4}" "${digest:13:3}" \
    "${digest:17:3}" "${digest:20:12}"
}

core_size=$(stat --format=%s /in/core/core.img)
if ((core_size > SLOT_MIB * mebibyte)); then
  echo "core.img has $core_size bytes, its slot $((SLOT_MIB * mebibyte)): enlarge the slots of the product" >&2
  exit 1
fi

truncate --size=$((DISK_MIB * mebibyte)) "$disk"
esp_start=1
core_a_start=$((esp_start + ESP_MIB))
core_b_start=$((core_a_start + SLOT_MIB))
state_start=$((core_b_start + SLOT_MIB))
swap_start=$((state_start + STATE_MIB))
root_type=4f68bce3-e8cd-4db1-96e7-fbcaf984b709
esp_type=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
state_type=4d21b016-b534-45c2-a9fb-5c16e091fd2d
swap_type=0657fd6d-a4ab-43c4-84e5-0933c84b4f4f
# Attribute bits 60 (read-only): Core is never written; 63 (no automatic mount): state
# and swap are empty here, what is in them is made on the machine and opened by it alone.
sfdisk --quiet --no-reread --no-tell-kernel "$disk" <<TABLE
label: gpt
label-id: $(derived_uuid disk)
unit: sectors
sector-size: 512
first-lba: 2048

start=$((esp_start * 2048)), size=$((ESP_MIB * 2048)), type=$esp_type, uuid=$(derived_uuid esp), name="esp"
start=$((core_a_start * 2048)), size=$((SLOT_MIB * 2048)), type=$root_type, uuid=$core_uuid, name="core-a", attrs="GUID:60"
start=$((core_b_start * 2048)), size=$((SLOT_MIB * 2048)), type=$root_type, uuid=$(derived_uuid core-b), name="_empty", attrs="GUID:60"
start=$((state_start * 2048)), size=$((STATE_MIB * 2048)), type=$state_type, uuid=$(derived_uuid state), name="state", attrs="GUID:63"
start=$((swap_start * 2048)), size=$((SWAP_MIB * 2048)), type=$swap_type, uuid=$(derived_uuid swap), name="swap", attrs="GUID:63"
TABLE

# The ESP.
volume_id=$(printf 'bastide-esp\n%s' "$PRODUCT" | sha256sum | cut -c1-8)
truncate --size=$((ESP_MIB * mebibyte)) esp.img
mkfs.vfat -F32 -S512 -s8 --invariant -i "$volume_id" -n ESP esp.img > mkfs.log
mkdir -p esp/EFI/BOOT esp/EFI/systemd esp/EFI/Linux esp/loader
install -m 644 /in/boot-loader/signed.efi esp/EFI/BOOT/BOOTX64.EFI
install -m 644 /in/boot-loader/signed.efi esp/EFI/systemd/systemd-bootx64.efi
install -m 644 /in/uki/signed.efi "esp/EFI/Linux/$UKI_NAME"
install -m 644 /in/loader.conf esp/loader/loader.conf
find esp -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

# mtools writes in the order asked and with the times of the files (-m), in the
# time zone of the step; directories get theirs from SOURCE_DATE_EPOCH.
export MTOOLS_SKIP_CHECK=1 TZ=UTC
(cd esp && find . -mindepth 1 -type d | LC_ALL=C sort) | while read -r directory; do
  mmd -i esp.img "::${directory#.}"
done
(cd esp && find . -type f | LC_ALL=C sort) | while read -r file; do
  mcopy -m -i esp.img "esp/$file" "::${file#.}"
done

# Both into their places; blocks of zeros stay holes.
dd if=esp.img of="$disk" bs=1M seek="$esp_start" conv=notrunc,sparse status=none
dd if=/in/core/core.img of="$disk" bs=1M seek="$core_a_start" conv=notrunc,sparse status=none

# Judges: the table, the file system, and what a firmware will read back.
sfdisk --verify "$disk"
fsck.vfat -n esp.img
for file in EFI/BOOT/BOOTX64.EFI EFI/systemd/systemd-bootx64.efi "EFI/Linux/$UKI_NAME" loader/loader.conf; do
  mcopy -n -i "$disk@@$((esp_start * mebibyte))" "::/$file" read-back
  cmp "esp/$file" read-back
  rm read-back
done
cmp --bytes="$core_size" --ignore-initial=$((core_a_start * mebibyte)):0 "$disk" /in/core/core.img
sfdisk --json "$disk" > /out/partitions.json
