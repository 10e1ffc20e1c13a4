#!/usr/bin/env bash
# Tests libalq-aio as programs use it: its C tests run once linked with it before libc, and once
# with the library preloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v cc >/dev/null || { echo "cc is missing: run ci/tools.sh as root, or install it" >&2; exit 1; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

ALQ_PROFILE=dev ci/install-aio.sh "$work/prefix"
library=$work/prefix/lib/libalq-aio.so

# The library exports exactly the calls of <aio.h>, each also with its name for large files.
calls='aio_cancel aio_error aio_fsync aio_read aio_return aio_suspend aio_write lio_listio'
for call in $calls; do printf '%s\n%s64\n' "$call" "$call"; done | sort >"$work/calls"
nm -D --defined-only "$library" | awk '{ print $3 }' | sort | diff "$work/calls" -
readelf -d "$library" | grep -q 'FLAGS_1.*NODELETE'
readelf -d "$library" | grep -q 'SONAME.*\[libalq-aio\.so\.0\]'

# $1: the test; $2: how it uses the library; $3..: the command.
run() {
    local test=$1 how=$2
    shift 2
    if ! timeout 600 "$@" >"$work/out" 2>&1; then
        echo "$test, $how: failed:" >&2
        cat "$work/out" >&2
        exit 1
    fi
}
for source in crates/aio/tests/*.c; do
    test=$(basename "$source" .c)
    flags=(-std=gnu11 -Wall -Wextra -Werror -g -rdynamic)
    cc "${flags[@]}" "$source" -o "$work/$test" -pthread -ldl
    run "$test" preloaded env LD_PRELOAD="$library" "$work/$test"
    cc "${flags[@]}" "$source" -o "$work/$test" -L"$work/prefix/lib" -lalq-aio -pthread -ldl
    readelf -d "$work/$test" | grep -q 'NEEDED.*\[libalq-aio\.so\.0\]'
    run "$test" linked env LD_LIBRARY_PATH="$work/prefix/lib" "$work/$test"
    printf '%5d s  %s: preloaded, linked\n' "$SECONDS" "$test"
done
