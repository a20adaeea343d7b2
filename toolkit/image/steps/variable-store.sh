# Makes the firmware's variable store with the owner's keys and no others, and
# hands out the firmware itself. The time in PK, KEK and db is the certificate's
# own notBefore, so the store depends on nothing but keys and firmware.

install -m 644 /usr/share/OVMF/OVMF_CODE_4M.secboot.fd /out/OVMF_CODE.fd
owner=$(cat /in/owner.guid)
virt-fw-vars --input /usr/share/OVMF/OVMF_VARS_4M.fd --output /out/OVMF_VARS.fd \
  --set-pk "$owner" /in/PK.crt --add-kek "$owner" /in/KEK.crt --add-db "$owner" /in/db.crt --sb
chmod 644 /out/OVMF_VARS.fd

# What was enrolled, read back: one certificate in each, with our subject.
virt-fw-vars --input /out/OVMF_VARS.fd --print --verbose > variables
for variable in PK KEK db; do
  enrolled=$(sed -n "/^name=$variable /,/^\$/p" variables | grep -c 'siglist type=guid:EfiCertX509 count=1' || true)
  if ((enrolled != 1)); then
    echo "$variable holds $enrolled certificates instead of the owner's one" >&2
    exit 1
  fi
done
if grep -qi microsoft variables; then
  echo "a foreign key is in the variable store" >&2
  exit 1
fi
