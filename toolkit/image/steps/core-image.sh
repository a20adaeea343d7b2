# Makes core.img: EROFS, then the dm-verity hash area, then the FEC area, in one
# file. Everything that could vary is derived from the content, so that the same
# tree gives the same bytes anywhere.

# What is kept of a step is without the right to write; the Core has modes of its
# own: what can be executed, and what cannot.
cp --recursive --no-dereference --no-preserve=ownership,timestamps /in/rootfs/tree tree
find tree -type d -exec chmod 0755 {} +
find tree -type f -perm /100 -exec chmod 0755 {} +
find tree -type f ! -perm /100 -exec chmod 0644 {} +

# The one thing to derive from: names, types, modes, link targets and contents.
# (Times and owners are the same for every file of the image.)
listing=$(mktemp)
(
  cd tree
  find . -printf '%y %m %p -> %l\n' | LC_ALL=C sort
  find . -type f -print0 | LC_ALL=C sort -z | xargs -0 --no-run-if-empty sha256sum
) > "$listing"
digest=$(printf 'bastide-core\n' | cat - "$listing" | sha256sum | cut -c1-64)

as_uuid() { # 32 hexadecimal digits -> UUID of version 8 (RFC 9562: custom)
  printf '%s-%s-8%s-8%s-%s\n' "${1:0:8}" "${1:8:4}" "${1:13:3}" "${1:17:3}" "${1:20:12}"
}
file_system_uuid=$(as_uuid "${digest:0:32}")
verity_uuid=$(as_uuid "${digest:32:32}")
salt=$(printf 'bastide-salt\n%s' "$digest" | sha256sum | cut -c1-64)

mkfs.erofs --quiet -b4096 $EROFS_OPTIONS -x-1 -T"$SOURCE_DATE_EPOCH" --all-time \
  -U "$file_system_uuid" -L "$LABEL" --all-root /out/core.img tree
echo "@progress 1 3"

data_size=$(stat --format=%s /out/core.img)
if ((data_size % 4096 != 0)); then
  echo "core.img: mkfs.erofs wrote $data_size bytes, not whole blocks" >&2
  exit 1
fi
data_blocks=$((data_size / 4096))

# Hash area: one superblock, then the tree of SHA-256 (128 digests a block).
hash_blocks=1
level=$data_blocks
while ((level > 1)); do
  level=$(((level + 127) / 128))
  hash_blocks=$((hash_blocks + level))
done
hash_offset=$data_size
fec_offset=$((data_size + hash_blocks * 4096))

veritysetup format /out/core.img /out/core.img \
  --format=1 --hash=sha256 --data-block-size=4096 --hash-block-size=4096 \
  --data-blocks="$data_blocks" --hash-offset="$hash_offset" \
  --fec-device=/out/core.img --fec-offset="$fec_offset" --fec-roots=2 \
  --salt="$salt" --uuid="$verity_uuid" --root-hash-file=/out/core.roothash > verity.log
echo "@progress 2 3"

# The size foretold above must be what veritysetup used, or the FEC area would
# lie over the hashes. It wrote the FEC after checking that; make sure.
size=$(stat --format=%s /out/core.img)
if ((size <= fec_offset)); then
  echo "core.img: $size bytes leave no room for the FEC area at $fec_offset" >&2
  exit 1
fi
chmod 644 /out/core.roothash
truncate --size=$(((size + 4095) / 4096 * 4096)) /out/core.img
size=$(stat --format=%s /out/core.img)

cat > /out/core.json <<JSON
{
  "root-hash": "$(cat /out/core.roothash)",
  "size": $size,
  "data-blocks": $data_blocks,
  "hash-offset": $hash_offset,
  "fec-offset": $fec_offset,
  "salt": "$salt",
  "verity-uuid": "$verity_uuid",
  "file-system-uuid": "$file_system_uuid"
}
JSON

# The judge reads back what was written: the file system by its own checker, the
# whole image against the root hash.
fsck.erofs /out/core.img
veritysetup verify /out/core.img /out/core.img "$(cat /out/core.roothash)" \
  --hash-offset="$hash_offset" \
  --fec-device=/out/core.img --fec-offset="$fec_offset" --fec-roots=2
echo "@progress 3 3"
