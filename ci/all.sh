#!/usr/bin/env bash
# Runs every fast check in turn, says how long each took, and stops at the first that fails.
set -euo pipefail
cd "$(dirname "$0")/.."

step() {
    local start=$SECONDS
    printf '\n=== %s\n' "$1"
    "$@"
    printf -- '--- %s: %d s\n' "$1" $((SECONDS - start))
}

step ci/tools.sh
step ci/fmt.sh
step ci/links.sh
step ci/clippy.sh
step ci/features.sh
step ci/msrv.sh
step ci/package.sh
step ci/doc.sh
step ci/test.sh
step ci/loom.sh
step ci/mutants.sh
step ci/shuttle.sh
step ci/fuzz.sh
step ci/stream.sh
step ci/catchers.sh
step ci/examples.sh
step ci/man.sh
step ci/report.sh
step ci/readme.sh
step ci/capi.sh
step ci/instructions.sh
step ci/comparison.sh
printf '\nall checks passed in %d s\n' "$SECONDS"
