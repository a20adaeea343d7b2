# Builds programs of the tree with vendored crates, and writes down what was linked
# into each.
#
# Everything lies at the same path wherever the step runs, and what paths remain in
# panic messages are names without meaning: the same sources give the same bytes.

# The workspace: sources of the crates needed, manifests of the others (Cargo wants
# all members there), from inputs named `source.<room>.<crate>` and
# `manifest.<room>.<crate>`.
workspace=/usr/src/bastide
mkdir --parents "$workspace" && cd "$workspace"
cp /in/Cargo.toml /in/Cargo.lock .
for input in /in/source.* /in/manifest.*; do
  member=${input#/in/*.}
  member=${member//.//}
  mkdir --parents "$member"
  case "$input" in
    # Copied without their times: what Cargo keeps in the cache is older, so crates
    # of the tree are always compiled; others are known by their checksums.
    /in/source.*) cp --recursive --no-preserve=timestamps "$input/." "$member/" ;;
    *)
      cp "$input" "$member/Cargo.toml"
      mkdir --parents "$member/src" && touch "$member/src/lib.rs"
      ;;
  esac
done

export CARGO_HOME=/usr/src/cargo
mkdir --parents "$CARGO_HOME"
cat > "$CARGO_HOME/config.toml" <<'TOML'
[source.crates-io]
replace-with = "vendored"
[source.vendored]
directory = "/in/crates"
TOML

# Debian's libgcc_s is linked without BIND_NOW and without stack protector. Our
# programs abort on panic and take from it only what prints a backtrace, so they take
# that from the static library and the Core has no libgcc_s at all.
libraries=/usr/src/libraries
mkdir --parents "$libraries"
echo 'INPUT(-l:libgcc_eh.a -l:libgcc.a)' > "$libraries/libgcc_s.so"

target=x86_64-unknown-linux-gnu
flags="--remap-path-prefix=$workspace=bastide --remap-path-prefix=/in/crates=crates"
flags+=" --remap-path-prefix=/cache=target"
flags+=" -C relocation-model=pie -C link-arg=-Wl,-z,relro,-z,now,-z,noexecstack,-z,separate-code"
flags+=" -C link-arg=-Wl,--build-id=none"
if [[ $LINKAGE == static ]]; then
  flags+=" -C target-feature=+crt-static"
else
  flags+=" -L native=$libraries"
fi
export CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_RUSTFLAGS=$flags
export CARGO_TARGET_DIR=/cache/target CARGO_INCREMENTAL=0

packages=()
for package in $PACKAGES; do
  packages+=(--package "$package")
done
cargo build --frozen --profile "$PROFILE" --target "$target" --jobs "$JOBS" "${packages[@]}"

# Cargo calls the directory of the profile "dev" by another name.
built=$CARGO_TARGET_DIR/$target/${PROFILE/#dev/debug}
mkdir --parents /out/bin /out/linked
for program in $PROGRAMS; do
  install -m 755 "$built/$program" "/out/bin/$program"
done
for package in $PACKAGES; do
  cargo tree --frozen --package "$package" --target "$target" --edges normal,no-proc-macro \
    --prefix none --format '{p}' | sed "s|($workspace.*||" | LC_ALL=C sort --unique > "/out/linked/$package"
done
cargo metadata --frozen --format-version 1 --filter-platform "$target" > /out/metadata.json
cp Cargo.lock /out/Cargo.lock
chmod 644 /out/Cargo.lock
dpkg-query --show \
  --showformat '${Package} ${Version} ${source:Package} ${source:Version} ${Architecture}\n' \
  'libstd-rust-dev*' libc6-dev 'libgcc-*-dev' | LC_ALL=C sort > /out/toolchain
