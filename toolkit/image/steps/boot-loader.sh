# Hands out systemd-boot as the SDK's package has it, for signing.
install -m 644 /usr/lib/systemd/boot/efi/systemd-bootx64.efi /out/systemd-boot.efi
