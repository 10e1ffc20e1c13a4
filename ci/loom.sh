#!/usr/bin/env bash
# Explores every model within the model's bound on preemptions, and prints the number of executions.
#
#     ci/loom.sh        short form: the most expensive models with one preemption less
#     ci/loom.sh long   the bound of each model: minutes
#     ci/loom.sh full   one preemption more in each model: hours
set -euo pipefail
cd "$(dirname "$0")/../loom-tests"
case ${1:-} in
    long) export ALQ_LOOM_MORE_PREEMPTIONS=0 ;;
    full) export ALQ_LOOM_MORE_PREEMPTIONS=1 ;;
esac
# Loom reports success when it reaches a limit on time or permutations, so the environment must set
# no limit.
unset LOOM_MAX_DURATION LOOM_MAX_PERMUTATIONS LOOM_MAX_PREEMPTIONS LOOM_MAX_BRANCHES
cargo test --release --locked -- --nocapture
