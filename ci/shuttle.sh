#!/usr/bin/env bash
# Runs whole queues on random schedules, and checks that they find deliberate faults (mutants).
#
#     ci/shuttle.sh                                   short form: some seconds a scenario
#     ALQ_SHUTTLE_ITERATIONS=1000000 ci/shuttle.sh    hours
set -euo pipefail
cd "$(dirname "$0")/../shuttle-tests"
unset ALQ_MUTANT ALQ_SHUTTLE_SEED SHUTTLE_RANDOM_SEED
export ALQ_SHUTTLE_ITERATIONS=${ALQ_SHUTTLE_ITERATIONS:-1000}
cargo test --release --locked -- --nocapture

# Mutants of ci/mutants.sh that are wrong under any ordering: they leave out a check.
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
    elif ! grep -q "^$scenario failed. Once more:" "$said"; then
        echo "$mutant: failed for another reason:" >&2
        tail -n 20 "$said" >&2
        exit 1
    fi
    echo "$mutant: found by $scenario"
done <<<"$found_by"
