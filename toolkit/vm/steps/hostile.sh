# What an attacker with tools and keys of his own brings along. The keys are made
# here, vouch for nothing and are thrown away with the step.
#
# /in/uki, /in/core: what the owner built and signed.
# HASH_OFFSET, FEC_OFFSET: where the parts of the Core begin. INIT: path of PID 1 in it.

openssl req -x509 -sha256 -noenc -batch -newkey rsa:2048 -days 3650 \
    -subj "/CN=somebody else" -keyout foreign.key -out foreign.crt 2> openssl.log ||
    { cat openssl.log; exit 1; }

foreign_sign() {
    sbsign --key foreign.key --cert foreign.crt --output "$2" "$1"
}

cp /in/uki /out/unsigned-uki.efi
chmod u+w /out/unsigned-uki.efi
sbattach --remove /out/unsigned-uki.efi
foreign_sign /out/unsigned-uki.efi /out/foreign-uki.efi
cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi /out/unsigned-boot-loader.efi
foreign_sign /out/unsigned-boot-loader.efi /out/foreign-boot-loader.efi

# The firmware's store before anybody's key is enrolled: Secure Boot is off.
cp /usr/share/OVMF/OVMF_VARS_4M.fd /out/keyless-variables.fd

# The firmware's store as somebody else would fill it: Secure Boot on, his keys.
somebody=5a5a5a5a-0000-4000-8000-000000000000
virt-fw-vars --input /usr/share/OVMF/OVMF_VARS_4M.fd --output /out/foreign-variables.fd \
    --set-pk "$somebody" foreign.crt --add-kek "$somebody" foreign.crt \
    --add-db "$somebody" foreign.crt --sb

# An add-on that would lengthen the command line, signed by nobody.
ukify build --stub=/usr/lib/systemd/boot/efi/addonx64.efi.stub \
    --cmdline="init=/bin/sh" --output=/out/unsigned-addon.efi

# Another Core, valid in itself, whose PID 1 is the attacker's.
mkdir -p "other$(dirname "$INIT")"
cp /bin/true "other$INIT"
mkfs.erofs --quiet -T0 --all-root other.img other
truncate -s "$HASH_OFFSET" other.img
veritysetup format other.img other.img --hash=sha256 --data-block-size=4096 \
    --hash-block-size=4096 --data-blocks="$((HASH_OFFSET / 4096))" \
    --hash-offset="$HASH_OFFSET" --fec-device=other.img --fec-offset="$FEC_OFFSET" \
    --fec-roots=2 --salt=0bad0bad --uuid=0bad0bad-0000-4000-8000-000000000000 \
    --root-hash-file=/out/other-core.roothash > veritysetup.log
mv other.img /out/other-core.img

# Where PID 1 lies on the disk, so that exactly it can be spoilt:
# "logical start .. end | length : physical start .. end | length".
dump.erofs -e --path="$INIT" /in/core > dump.log
grep -E '^ *[0-9]+:' dump.log > /out/init.extents
