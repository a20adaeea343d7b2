# Compiles the checked configuration. Nothing that differs between machines may get
# into the outputs: no path, name, time, key or random number.

cp /in/kernel.config .config
make --silent olddefconfig
if ! cmp --silent /in/kernel.config .config; then
  echo 'kernel: the configuration changed between checking and compiling it:' >&2
  diff /in/kernel.config .config >&2 || true
  exit 1
fi

# A compile is reused only with the same compiler, arguments, sources and seed; the
# seed is in a file that ccache does not know of by itself.
export CCACHE_DIR=/cache/ccache CCACHE_MAXSIZE=4G
export CCACHE_EXTRAFILES=$PWD/scripts/basic/randstruct.seed
CCACHE_COMPILERCHECK="string:$(dpkg-query --show --showformat '${Package}=${Version} ' \
  "clang$LLVM" "libclang-common$LLVM-dev" "libllvm${LLVM#-}*" "libclang-cpp${LLVM#-}")"
export CCACHE_COMPILERCHECK

flags=-ffile-prefix-map=$PWD=.
build() {
  make --jobs "$JOBS" CC="ccache clang$LLVM" KCFLAGS="$flags" KAFLAGS="$flags" "$@"
}

# The estimate of how much there is to do is the number of lines of the last
# measured compile.
estimate=$(</in/estimate)
build bzImage modules | awk -v total="$estimate" '
  { print }
  /^  [A-Z]/ {
    done++
    if (done > total) total = done
    if (done % 10 == 0) { print "@progress " done " " total; fflush() }
  }
  END { print "kernel: " done " lines of work" }'
echo "@progress $estimate $estimate"

# Modules as they are: the signature is the business of a later step, which has the
# key; hence not what CONFIG_MODULE_SIG_ALL would do here.
build --silent modules_install CONFIG_MODULE_SIG_ALL= INSTALL_MOD_PATH="$PWD/installed" INSTALL_MOD_STRIP=1
release=$(make --silent kernelrelease)
rm --force "installed/lib/modules/$release/build" "installed/lib/modules/$release/source"
mkdir --parents /out/modules/usr/lib
mv installed/lib/modules /out/modules/usr/lib/

cp arch/x86/boot/bzImage System.map /out/
cp .config /out/kernel.config
cp scripts/sign-file /out/sign-file
echo "$release" > /out/version
"llvm-objcopy$LLVM" --output-target binary --only-section=.BTF --set-section-flags .BTF=alloc \
  vmlinux /out/vmlinux.btf

# A key of the build's own would differ each time, and vouch for modules nobody
# signed.
if [[ -e certs/signing_key.pem ]] || [[ -s certs/signing_key.x509 ]] || [[ -s certs/x509_certificate_list ]]; then
  echo 'kernel: the build made or embedded a key' >&2
  exit 1
fi
ccache --show-stats
