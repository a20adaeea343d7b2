# A kernel bundle for the peer: the very kernel of /in/uki, without initramfs, since
# its drivers are built in; and the boot loader, both to be signed.

objcopy -O binary --only-section=.linux /in/uki vmlinuz
printf 'NAME="Debian peer"\nID=debian\nVERSION_ID=13\nPRETTY_NAME="Debian peer"\n' > os-release
ukify build --linux=vmlinuz --os-release=@os-release --cmdline="$COMMAND_LINE" \
    --stub=/usr/lib/systemd/boot/efi/linuxx64.efi.stub --output=/out/bundle.efi
cp /usr/lib/systemd/boot/efi/systemd-bootx64.efi /out/boot-loader.efi
