# Signs a dm-verity root hash with the image key: PKCS#7 over the 64 hexadecimal
# digits, in the form that dm-verity passes to verify_pkcs7_signature(): detached,
# without certificates and without attributes (so without a signing time).

case "$IMAGE_KEY_SOURCE" in
  file) key=(-inkey "$IMAGE_KEY") ;;
  *) echo "a $IMAGE_KEY_SOURCE key cannot sign root hashes yet" >&2; exit 1 ;;
esac

tr -d '\n' < "/in/hashed/$FILE" > text
if [[ ! $(cat text) =~ ^[0-9a-f]{64}$ ]]; then
  echo "$FILE holds no SHA-256 root hash" >&2
  exit 1
fi

openssl smime -sign -nocerts -noattr -binary -md sha256 -in text \
  -signer "$IMAGE_CERTIFICATE" "${key[@]}" -outform der -out /out/core.p7s
openssl x509 -in "$IMAGE_CERTIFICATE" -outform der -out /out/image.crt

# The certificate is the trust anchor itself, so no chain is asked for.
openssl smime -verify -binary -noverify -nointern -inform der -in /out/core.p7s \
  -content text -certfile "$IMAGE_CERTIFICATE" -out /dev/null
chmod 644 /out/core.p7s /out/image.crt
