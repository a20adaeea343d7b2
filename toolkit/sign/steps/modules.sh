# Signs kernel modules with the sign-file of the kernel they belong to, without
# attributes and so without a time. The db key signs: the kernel trusts it through
# firmware, and holds no owner key of its own.

case "$DB_KEY_SOURCE" in
  file) ;;
  *) echo "a $DB_KEY_SOURCE key cannot sign modules yet" >&2; exit 1 ;;
esac

cp --recursive "/in/built/$FILE/." /out/
chmod --recursive u+w /out
count=0
while IFS= read -r -d '' module; do
  if tail --bytes=28 "$module" | grep --quiet --text '~Module signature appended~'; then
    echo "${module#/out/}: signed already" >&2
    exit 1
  fi
  /in/built/sign-file sha512 "$DB_KEY" "$DB_CERTIFICATE" "$module"
  count=$((count + 1))
done < <(find /out -name '*.ko' -print0 | LC_ALL=C sort --zero-terminated)
echo "$count modules signed"
