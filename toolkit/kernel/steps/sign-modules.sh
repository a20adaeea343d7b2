# Puts the owner's signature on every module.

cp --recursive /in/kernel/modules/. /out/
count=0
while IFS= read -r -d '' module; do
  /in/kernel/sign-file sha512 /secret/key.pem /in/certificate.pem "$module"
  count=$((count + 1))
done < <(find /out -name '*.ko' -print0 | sort --zero-terminated)
echo "kernel: $count modules signed"
