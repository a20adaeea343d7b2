# Completes the fragment to a configuration and gathers what is needed to judge it.

cp /in/fragment fragment
make --silent KCONFIG_ALLCONFIG=fragment allnoconfig
cp .config /out/kernel.config
echo "$version" > /out/version

# Every option that the source defines, so that a name which no longer exists is
# noticed.
find . -name 'Kconfig*' -type f -print0 | sort -z \
  | xargs -0 sed -nE 's/^[[:space:]]*(menu)?config[[:space:]]+([A-Za-z0-9_]+).*$/\2/p' \
  | sort -u > /out/symbols

kernel-hardening-checker --mode json --config .config > /out/hardening.json
