#!/usr/bin/env bash
# Builds the C library and installs it.
#
#     ci/install-capi.sh PREFIX    headers in PREFIX/include, libraries and alq.pc in PREFIX/lib
#
# If DESTDIR is set, all files go below it, but alq.pc still names PREFIX. Needs Rust, a C compiler
# and binutils.
set -euo pipefail
if [ $# != 1 ] || [ "${1#/}" = "$1" ]; then
    echo "usage: ${0##*/} PREFIX, an absolute path" >&2
    exit 2
fi
prefix=$1
to=${DESTDIR:-}$prefix
cd "$(dirname "$0")/.."

cargo build --profile release-c -p alq-capi --locked
built=${CARGO_TARGET_DIR:-target}/release-c
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# The archive from rustc exports all symbols of Rust's runtime, which clash with another Rust
# library in the same program. So the archive becomes one object that exports the symbols of the
# shared library only, and contains only what these need.
nm -D --defined-only "$built/libalq.so" | awk '{ print $3 }' | sort >"$work/symbols"
sed 's/^/-u/' "$work/symbols" >"$work/roots"
ld -r --gc-sections "@$work/roots" -o "$work/alq.o" "$built/libalq.a"
objcopy --strip-debug --remove-section=.llvmbc --remove-section=.llvmcmd --keep-global-symbols="$work/symbols" "$work/alq.o"
ar rcsD "$work/libalq.a" "$work/alq.o"

version=$(sed -n 's/^#define ALQ_VERSION "\(.*\)"$/\1/p' crates/capi/include/alq.h)
soname=libalq.so.${version%%.*}
install -d "$to/include/sys" "$to/lib/pkgconfig"
install -m 644 crates/capi/include/*.h "$to/include"
install -m 644 crates/capi/include/sys/*.h "$to/include/sys"
install -m 644 "$work/libalq.a" "$to/lib"
install -m 755 "$built/libalq.so" "$to/lib/libalq.so.$version"
ln -sf "libalq.so.$version" "$to/lib/$soname"
ln -sf "$soname" "$to/lib/libalq.so"
sed "s|@PREFIX@|$prefix|; s|@VERSION@|$version|" crates/capi/alq.pc.in >"$to/lib/pkgconfig/alq.pc"
echo "installed alq $version in $to"
