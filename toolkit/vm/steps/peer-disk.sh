# The peer's disk: the same partition table, boot loader and settings as ours.

disk=/out/disk.img
esp=c12a7328-f81f-11d2-ba4b-00a0c93ec93b
root=4f68bce3-e8cd-4db1-96e7-fbcaf984b709
truncate --size=2G "$disk"
sfdisk --quiet --no-reread --no-tell-kernel "$disk" <<TABLE
label: gpt
start=2048, size=2097152, type=$esp
size=1843200, type=$root
TABLE
truncate --size=1G esp.img
mkfs.vfat -F32 -S512 -s8 esp.img > mkfs.log
mmd -i esp.img ::EFI ::EFI/BOOT ::EFI/Linux ::loader
mcopy -i esp.img /in/boot-loader/signed.efi ::EFI/BOOT/BOOTX64.EFI
mcopy -i esp.img /in/bundle/signed.efi ::EFI/Linux/peer.efi
printf 'timeout 0\neditor no\nauto-entries no\nauto-firmware no\n' > loader.conf
mcopy -i esp.img loader.conf ::loader/loader.conf
dd if=esp.img of="$disk" bs=1M seek=1 conv=notrunc,sparse status=none
dd if=/in/root/root.img of="$disk" bs=1M seek=1025 conv=notrunc,sparse status=none
