# The root file system of the machine that boot times are compared with: the SDK it
# runs in, which is a minimal Debian with systemd, as an ext4 image.

mkdir root
# The steps' own mount points stay empty.
(cd / && find . -mindepth 1 -maxdepth 1 ! -name proc ! -name sys ! -name dev ! -name in \
    ! -name out ! -name work ! -name cache ! -name secret ! -name tmp ! -name run -print0) |
    (cd / && xargs -0 cp -ax --target-directory="$OLDPWD/root")
mkdir -p root/{proc,sys,dev,tmp,run,etc}
chmod 1777 root/tmp
echo peer > root/etc/hostname
echo '/dev/vda2 / ext4 rw 0 1' > root/etc/fstab
: > root/etc/machine-id
# What a fresh installation has switched on, and no more.
ln -sf /usr/lib/systemd/system/multi-user.target root/etc/systemd/system/default.target
find root -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
mkfs.ext4 -q -d root -L peer -U 0b0b0b0b-0000-4000-8000-000000000000 \
    -E hash_seed=0b0b0b0b-0000-4000-8000-000000000000 /out/root.img 900M
