#!/usr/bin/env bash
# Measures an append through <aio.h>, with libc's implementation and with libalq-aio, in interleaved
# rounds.
#
#     ci/bench-aio.sh [ROUNDS]    7 by default; prints medians, and the least and the greatest time
set -euo pipefail
cd "$(dirname "$0")/.."
rounds=${1:-7}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
ci/install-aio.sh "$work/prefix" >&2
library=$work/prefix/lib/libalq-aio.so
cc -O2 -std=gnu11 -Wall crates/aio/benches/append.c -o "$work/append"

# Column $1 of the rounds of a case, sorted.
column() { awk -v n="$1" '{ print $n }' "$2" | sort -g; }
median() { column "$1" "$2" | sed -n "$(((rounds + 1) / 2))p"; }

printf '%-10s %5s  %-10s %26s %8s %8s %14s\n' file batch through 'ns a record' 'CPU ns' threads 'sleeps / 1000'
for where in /dev/null file; do
    for batch in 1 64; do
        rm -f "$work"/rounds.*
        for ((round = 0; round < rounds; round++)); do
            for through in libc alq; do
                to=$where
                [ "$where" != file ] || to=$work/log
                rm -f "$work/log"
                preload=
                [ $through = libc ] || preload=$library
                LD_PRELOAD=$preload "$work/append" "$to" $batch 50000 >>"$work/rounds.$through"
            done
        done
        for through in libc alq; do
            found=$work/rounds.$through
            times=$(printf '%d (%d to %d)' "$(median 1 "$found")" "$(column 1 "$found" | head -1)" "$(column 1 "$found" | tail -1)")
            printf '%-10s %5d  %-10s %26s %8d %8d %14.1f\n' "$where" $batch $through "$times" \
                "$(median 2 "$found")" "$(median 3 "$found")" "$(median 4 "$found")"
        done
    done
done
