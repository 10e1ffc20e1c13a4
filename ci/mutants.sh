#!/usr/bin/env bash
# Each mutant is the code with one weakness built in: an ordering weakened, a fence or a second look left out. The models
# must find every one of them; this fails if one survives. A mutant is looked for in the test file that its name begins with.
set -euo pipefail
cd "$(dirname "$0")/../loom-tests"
unset LOOM_MAX_DURATION LOOM_MAX_PERMUTATIONS LOOM_MAX_PREEMPTIONS LOOM_MAX_BRANCHES ALQ_MUTANT
cargo test --release --locked --no-run 2>/dev/null

names=$(grep -rhoE '(is|unless)_mutant\($|(is|unless)_mutant\("\w+"|^ +"lane_\w+"' ../src/ring | grep -oE '"\w+"' | tr -d '"' | sort -u)
survivors=0
for name in $names; do
    if ALQ_MUTANT=$name cargo test --release --locked --test "${name%%_*}s" >"${TMPDIR:-/tmp}/mutant.$$" 2>&1; then
        echo "$name: survived" >&2
        survivors=$((survivors + 1))
    else
        found=$(grep -oE '^test \w+ \.\.\. FAILED' "${TMPDIR:-/tmp}/mutant.$$" | cut -d' ' -f2 | tr '\n' ' ')
        if [ -z "$found" ]; then
            echo "$name: failed for another reason:" >&2
            tail -n 20 "${TMPDIR:-/tmp}/mutant.$$" >&2
            exit 1
        fi
        echo "$name: found by $found"
    fi
done
rm -f "${TMPDIR:-/tmp}/mutant.$$"
[ "$survivors" = 0 ]
