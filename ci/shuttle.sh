#!/usr/bin/env bash
# Whole queues on drawn schedules; and weaknesses, built in on purpose, that they must find.
#
#     ci/shuttle.sh                                   the short form, half a minute
#     ALQ_SHUTTLE_ITERATIONS=1000000 ci/shuttle.sh    hours
set -euo pipefail
cd "$(dirname "$0")/../shuttle-tests"
unset ALQ_MUTANT ALQ_SHUTTLE_SEED SHUTTLE_RANDOM_SEED
export ALQ_SHUTTLE_ITERATIONS=${ALQ_SHUTTLE_ITERATIONS:-4000}
cargo test --release --locked -- --nocapture

# Some of those of ci/mutants.sh that are wrong in any order: a check that is left out, and no weaker ordering.
found_by='
block.busy:ignored queue  close_under_way
room.again          tiny   lanes_and_writers_wait_for_room
'
said=$(mktemp)
trap 'rm -f "$said"' EXIT
while read -r mutant file scenario; do
    [ -n "$mutant" ] || continue
    if ALQ_MUTANT=$mutant cargo test --release --locked --test "$file" -- --exact "$scenario" >"$said" 2>&1; then
        echo "$mutant: survived $scenario" >&2
        exit 1
    elif ! grep -q "^$scenario failed. Once more: " "$said"; then
        echo "$mutant: failed for another reason:" >&2
        tail -n 20 "$said" >&2
        exit 1
    fi
    echo "$mutant: found by $scenario"
done <<<"$found_by"
