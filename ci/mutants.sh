#!/usr/bin/env bash
# Each mutant is the code with one weakness built in: an ordering weakened, a fence or a second look left out. A model must
# find it; this fails if one survives, and if one has no model here.
set -euo pipefail
cd "$(dirname "$0")/../loom-tests"
unset LOOM_MAX_DURATION LOOM_MAX_PERMUTATIONS LOOM_MAX_PREEMPTIONS LOOM_MAX_BRANCHES ALQ_MUTANT

# The mutant, the test file and the model that is to find it.
found_by='
lane_busy_acquire   lanes  a_late_owner_against_the_next_owner_of_its_bytes
lane_busy_ignored   lanes  a_late_owner_against_the_next_owner_of_its_bytes
lane_commit         lanes  seal_against_claim
lane_drain_fence    lanes  a_late_owner_against_the_next_owner_of_its_bytes
lane_idle_release   lanes  a_late_owner_against_the_next_owner_of_its_bytes
lane_late_store     lanes  a_late_owner_against_a_recycled_descriptor
lane_open_acquire   lanes  a_late_owner_against_a_recycled_descriptor
lane_open_late      lanes  seal_against_claim
lane_open_release   lanes  a_late_owner_against_a_recycled_descriptor
lane_owner_fence    lanes  a_late_owner_against_the_next_owner_of_its_bytes
room_wanted_once    lanes  a_writer_gets_the_room_that_a_lane_takes_meanwhile
'
listed=$(awk 'NF { print $1 }' <<<"$found_by" | sort)
built_in=$(grep -rzoE '(is|unless)_mutant\(\s*"\w+"' ../src | grep -aoE '"\w+"' | tr -d '"' | sort -u)
if [ "$listed" != "$built_in" ]; then
    echo 'the mutants of src/ are not those of this list:' >&2
    diff <(echo "$built_in") <(echo "$listed") >&2 || true
    exit 1
fi

cargo test --release --locked --no-run
said=$(mktemp)
trap 'rm -f "$said"' EXIT
survivors=0
while read -r mutant file model; do
    [ -n "$mutant" ] || continue
    if ALQ_MUTANT=$mutant cargo test --release --locked --test "$file" -- --exact "$model" >"$said" 2>&1; then
        echo "$mutant: survived $model" >&2
        survivors=$((survivors + 1))
    elif grep -q "^thread '$model'.* panicked at" "$said"; then # a dead-lock ends the process, so no test has FAILED
        echo "$mutant: found by $model"
    else
        echo "$mutant: failed for another reason:" >&2
        tail -n 20 "$said" >&2
        exit 1
    fi
done <<<"$found_by"
[ "$survivors" = 0 ]
