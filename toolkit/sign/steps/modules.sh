# Signs kernel modules as the kernel's scripts/sign-file does: a detached PKCS#7
# signature appended to each, then struct module_signature, then the magic text.
# Without attributes, so without a time. The db key signs: the kernel trusts it
# through firmware, and holds no owner key of its own.

case "$DB_KEY_SOURCE" in
  file) key=(-inkey "$DB_KEY") ;;
  *) echo "a $DB_KEY_SOURCE key cannot sign modules yet" >&2; exit 1 ;;
esac

cp -R "/in/built/$FILE/." /out/
find /out -name '*.ko' -print0 | LC_ALL=C sort -z | while IFS= read -r -d '' module; do
  if tail --bytes=28 "$module" | grep -q '~Module signature appended~'; then
    echo "${module#/out/}: signed already" >&2
    exit 1
  fi
  openssl cms -sign -binary -noattr -nocerts -md sha512 -in "$module" \
    -signer "$DB_CERTIFICATE" "${key[@]}" -outform der -out signature
  openssl cms -verify -binary -noverify -nointern -inform der -in signature \
    -content "$module" -certfile "$DB_CERTIFICATE" -out /dev/null
  {
    cat signature
    # algo, hash, id_type = PKEY_ID_PKCS7, signer_len, key_id_len, three of padding
    printf '\0\0\2\0\0\0\0\0'
    printf '%08x' "$(stat --format=%s signature)" | sed 's/../\\x&/g' | xargs -0 printf
    printf '~Module signature appended~\n'
  } >> "$module"
done
