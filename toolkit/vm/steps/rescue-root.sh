
# Appended to peer-root.sh: the same root with the rescue machine's PID 1, made anew.
rm /out/root.img
mkdir -p root/usr/lib/rescue
install -m 755 /in/init root/usr/lib/rescue/init
# journald keeps what it is given on disk, sealed, once keys are set up.
echo 5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1e > root/etc/machine-id
find root -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
mkfs.ext4 -q -d root -L rescue -U 0b0b0b0b-0000-4000-8000-000000000001 \
    -E hash_seed=0b0b0b0b-0000-4000-8000-000000000001 /out/root.img 900M
