#!/usr/bin/env bash
# Measures an append in C and in Rust (see crates/capi/benches/from_c.rs).
#
#     ci/bench-capi.sh          nanoseconds a record
#     ci/bench-capi.sh count    instructions a record, with callgrind
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ci/install-capi.sh "$work/prefix" >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
export PKG_CONFIG_PATH=$work/prefix/lib/pkgconfig LD_LIBRARY_PATH=$work/prefix/lib
library=$work/from_c.so
cc -O2 -shared -fPIC $(pkg-config --cflags alq) crates/capi/benches/from_c.c -o "$library" $(pkg-config --libs alq)

if [ "${1:-}" != count ]; then
    cargo bench --quiet -p alq-capi --bench from_c --locked -- "$library"
    exit
fi
bench=$(cargo bench -p alq-capi --bench from_c --locked --no-run --message-format json |
    sed -n 's/.*"executable":"\([^"]*from_c[^"]*\)".*/\1/p')
records=10000
for call in writen getn lane; do
    for caller in rust c; do
        valgrind --tool=callgrind --callgrind-out-file=/dev/null --toggle-collect="${caller}_$call" \
            "$bench" "$library" "${caller}_$call" >"$work/said" 2>&1 || { cat "$work/said" >&2; exit 1; }
        collected=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work/said")
        printf '%-8s %-6s %6d instructions a record\n' "$call" "$caller" $((collected / records))
    done
done
