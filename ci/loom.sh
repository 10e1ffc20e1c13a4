#!/usr/bin/env bash
# Explores every model within its own bound on preemptions, and prints how many executions each took.
#
#     ci/loom.sh        the quick form, some minutes at most
#     ci/loom.sh full   one preemption more in each model: hours
set -euo pipefail
cd "$(dirname "$0")/../loom-tests"
if [ "${1:-}" = full ]; then
    export ALQ_LOOM_MORE_PREEMPTIONS=1
fi
# Loom reports success when it runs out of time or permutations, so neither may be limited from outside.
unset LOOM_MAX_DURATION LOOM_MAX_PERMUTATIONS LOOM_MAX_PREEMPTIONS LOOM_MAX_BRANCHES
cargo test --release --locked -- --nocapture
