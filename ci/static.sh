#!/usr/bin/env bash
# Builds the tool as one static binary, with musl: it runs on every Linux of this processor, also in
# a container that has nothing else. Checks that it is static and writes a log, and prints its size
# and how long it takes to start. Needs musl-gcc (Debian: musl-tools), because zstd is written in C.
#
#     ci/static.sh         leaves the binary in target/static/alq
#     ci/static.sh FILE    also copies it to FILE
set -euo pipefail
cd "$(dirname "$0")/.."
target=x86_64-unknown-linux-musl
if ! command -v musl-gcc >/dev/null; then
    echo 'no static binary: musl-gcc is missing (Debian: musl-tools)' >&2
    exit 1
fi
rustup target add "$target"
mkdir -p "${CARGO_TARGET_DIR:-target}/platforms" "${CARGO_TARGET_DIR:-target}/static"
alq=$(cd "${CARGO_TARGET_DIR:-target}/static" && pwd)/alq
CARGO_TARGET_DIR=$(cd "${CARGO_TARGET_DIR:-target}/platforms" && pwd)
export CARGO_TARGET_DIR CC_x86_64_unknown_linux_musl=musl-gcc
cargo build --release -p alq-cli --bin alq --target "$target" --locked

install -m 755 "$CARGO_TARGET_DIR/$target/release/alq" "$alq"
if readelf -l "$alq" | grep -q INTERP || readelf -d "$alq" | grep -q NEEDED; then
    echo "$alq needs other files" >&2
    exit 1
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
seq 100000 >"$work/expected"
"$alq" append "$work/log" <"$work/expected"
cmp "$work/log" "$work/expected"
[ $# = 0 ] || install -m 755 "$alq" "$1"

starts=200
began=$(date +%s%N)
for ((i = 0; i < starts; i++)); do "$alq" --version >/dev/null; done
us=$((($(date +%s%N) - began) / starts / 1000))
echo "$alq: $(stat -c %s "$alq") bytes, starts and ends in $us µs"
