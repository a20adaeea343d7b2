# Makes state.template: a small ext4, of which only the blocks that are not zero are
# kept (base/ext4 has the format). On a machine it is written into the encrypted
# volume, gets an identity of its own and is grown by the kernel, so that the Core
# needs no mke2fs. Every feature is named: what the distribution's mke2fs.conf says
# today must not matter.

image=state.img
size=$((64 * 1024 * 1024))
uuid=00000000-0000-8000-8000-000000000000

cat > mke2fs.conf <<'CONFIG'
[defaults]
	base_features = none
[fs_types]
	ext4 = {
		inode_size = 256
	}
	small = {
		inode_size = 256
	}
CONFIG
export MKE2FS_CONFIG=$PWD/mke2fs.conf E2FSPROGS_FAKE_TIME=$SOURCE_DATE_EPOCH

# One block group: backups of the superblock, which nobody would patch, begin with the
# second. metadata_csum_seed lets the UUID change without every checksum. An inode for
# 32 KiB here is one for 64 KiB once the group is whole. The room for descriptors is
# the largest there is (8 TiB); beyond it the kernel goes on with meta_bg. All
# of it is written (lazy_*=0), as nothing must be left to do in the background.
truncate --size="$size" "$image"
features=none,has_journal,ext_attr,resize_inode,dir_index,filetype,extent,64bit,flex_bg
features+=,sparse_super,large_file,huge_file,dir_nlink,extra_isize
features+=,metadata_csum,metadata_csum_seed,quota,project
options=quotatype=prjquota,hash_seed=$uuid,resize=4294967295,root_owner=0:0
options+=,lazy_itable_init=0,lazy_journal_init=0,nodiscard
mke2fs -q -F -t ext4 -b 4096 -I 256 -i 32768 -m 5 -J size=16 -L template -U "$uuid" \
  -O "$features" -E "$options" -e remount-ro "$image"
echo "@progress 1 3"

little_endian() { # number, bytes
  local index
  for ((index = 0; index < $2; index++)); do
    # shellcheck disable=SC2059
    printf "\\x$(printf '%02x' $((($1 >> (8 * index)) & 255)))"
  done
}

# Offsets of the blocks that are not zero: od writes one line for each block.
od --address-radix=d --format=x8 --width=4096 --output-duplicates "$image" \
  | awk 'NF > 1 { zero = 1; for (i = 2; i <= NF; i++) if ($i !~ /^0+$/) { zero = 0; break }
                  if (!zero) print $1 + 0 }' > offsets
{
  printf 'bastide-sparse\0\0'
  little_endian 1 4
  little_endian 4096 4
  little_endian "$size" 8
  while read -r offset; do
    little_endian "$offset" 8
    dd if="$image" bs=4096 skip=$((offset / 4096)) count=1 status=none
  done < offsets
} > /out/state.template
chmod 644 /out/state.template
echo "@progress 2 3"

# Judges: the file system by its own checker, and what is kept, put together again.
e2fsck -fn "$image" > e2fsck.log || { cat e2fsck.log >&2; exit 1; }
dumpe2fs "$image" > dump 2> /dev/null
for feature in ${features//,/ }; do
  if [[ $feature != none ]] && ! grep -q "^Filesystem features:.* $feature\\( \\|\$\\)" dump; then
    echo "state.template lacks $feature" >&2
    exit 1
  fi
done
for line in "Reserved GDT blocks:      1024" "Directory Hash Seed:      $uuid" "Errors behavior:          Remount read-only"; do
  if ! grep -q "^$line\$" dump; then
    echo "state.template lacks the line \"$line\" in what dumpe2fs says" >&2
    exit 1
  fi
done
if grep -q 'Backup superblock' dump; then
  echo "state.template has a backup of the superblock, which no machine would patch" >&2
  exit 1
fi
truncate --size="$size" again.img
record=0
while read -r offset; do
  dd if=/out/state.template of=again.img iflag=skip_bytes oflag=seek_bytes \
    skip=$((32 + record * 4104 + 8)) seek="$offset" bs=4096 count=1 conv=notrunc status=none
  record=$((record + 1))
done < offsets
cmp "$image" again.img
echo "@progress 3 3"
