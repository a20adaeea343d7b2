# Signs a PE binary for Secure Boot (Authenticode) with the db key.
#
# osslsigncode is the one signer of the SDK whose signing time can be given;
# sbsign and systemd-sbsign write the clock's into the signature. It also takes
# PKCS#11 keys.

case "$DB_KEY_SOURCE" in
  file) key=(-key "$DB_KEY") ;;
  *) echo "a $DB_KEY_SOURCE key cannot sign boot binaries yet" >&2; exit 1 ;;
esac

osslsigncode sign -h sha256 -time "$SOURCE_DATE_EPOCH" \
  "${key[@]}" -certs "$DB_CERTIFICATE" -in "/in/unsigned/$FILE" -out /out/signed.efi

# Another implementation judges.
sbverify --cert "$DB_CERTIFICATE" /out/signed.efi
chmod 644 /out/signed.efi
