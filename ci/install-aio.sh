#!/usr/bin/env bash
# Builds libalq-aio and installs it.
#
#     ci/install-aio.sh PREFIX    the library in PREFIX/lib
#
# If DESTDIR is set, all files go below it.
set -euo pipefail
if [ $# != 1 ] || [ "${1#/}" = "$1" ]; then
    echo "usage: ${0##*/} PREFIX, an absolute path" >&2
    exit 2
fi
to=${DESTDIR:-}$1/lib
cd "$(dirname "$0")/.."

cargo build --quiet --profile "${ALQ_PROFILE:-release-c}" -p alq-aio --locked
built=${CARGO_TARGET_DIR:-target}/${ALQ_PROFILE:-release-c}
[ -d "$built" ] || built=${CARGO_TARGET_DIR:-target}/debug # the folder of the profile `dev`
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
soname=libalq-aio.so.${version%%.*}
install -d "$to"
install -m 755 "$built/libalq_aio.so" "$to/libalq-aio.so.$version"
ln -sf "libalq-aio.so.$version" "$to/$soname"
ln -sf "$soname" "$to/libalq-aio.so"
echo "installed libalq-aio $version in $to"
