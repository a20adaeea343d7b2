# Unpacks the newest kernel source of the SDK into $PWD/linux and patches it.
# Common to the steps that need it: it is put before their own script.

for archive in /usr/src/linux-source-*.tar.xz; do
  newest=$archive
done
if [[ ! -f $newest ]]; then
  echo 'kernel: the SDK holds no /usr/src/linux-source-*.tar.xz' >&2
  exit 1
fi
umask 022
mkdir linux
tar --extract --file "$newest" --directory linux --strip-components 1 --no-same-owner
cd linux
shopt -s nullglob
for patch in /in/patch-*.patch; do
  echo "kernel: applying ${patch##*/}"
  patch --strip 1 --batch --forward --fuzz 0 --no-backup-if-mismatch --input "$patch"
done

version=$(make --silent kernelversion)

# The seed of the structure layout: the same for everyone who builds this version
# with this layout name. It is no secret, as images are public; what it takes from
# an attacker is that layouts are those of every other system.
layout=$(</in/layout)
RANDSTRUCT_SEED=$(printf 'bastide structure layout\nlinux %s\n%s\n' "$version" "$layout" | sha256sum)
export RANDSTRUCT_SEED=${RANDSTRUCT_SEED%% *}

# What the kernel says about its own making.
export KBUILD_BUILD_TIMESTAMP KBUILD_BUILD_USER=bastide KBUILD_BUILD_HOST=bastide KBUILD_BUILD_VERSION=1
KBUILD_BUILD_TIMESTAMP=$(LC_ALL=C TZ=UTC date --date "@$SOURCE_DATE_EPOCH")
export LC_ALL=C.UTF-8 TZ=UTC

# The newest LLVM of the SDK, all tools of the same version.
for clang in /usr/bin/clang-[0-9]*; do
  llvm=-${clang##*-}
done
export LLVM=$llvm
