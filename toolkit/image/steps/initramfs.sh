# Makes the initramfs: our program, the command line it insists on, the signature
# of the root hash with the certificate to check it, the public half of the PCR key
# that state is sealed under, the empty file system that state begins as, and empty
# mount points.

# The program is judged as those of the Core are.
/in/tool/bin/bastide-rootfs judge "/in/program/bin/$PROGRAM"

umask 022
mkdir -p tree/dev tree/proc tree/sys tree/root
install -m 755 "/in/program/bin/$PROGRAM" tree/init
install -m 644 /in/cmdline tree/cmdline
install -m 644 /in/signature/core.p7s /in/signature/image.crt tree/
install -m 644 /in/template/state.template tree/state.template
openssl x509 -in /in/pcr.crt -noout -pubkey | openssl pkey -pubin -outform der -out tree/pcr.der
chmod 644 tree/pcr.der
find tree -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +

# Nothing else may be there: no shell, no tool.
if [[ $(cd tree && find . -type f | LC_ALL=C sort | tr '\n' ' ') != './cmdline ./core.p7s ./image.crt ./init ./pcr.der ./state.template ' ]]; then
  echo "the initramfs holds something unexpected" >&2
  exit 1
fi

(cd tree && find . -mindepth 1 -print0 | LC_ALL=C sort -z \
  | cpio --null --create --format=newc --reproducible --owner=0:0 --quiet) > initramfs.cpio
zstd --quiet -19 --no-check --threads=1 initramfs.cpio -o /out/initramfs.cpio.zst
cpio --list --quiet < initramfs.cpio > /out/initramfs.list
