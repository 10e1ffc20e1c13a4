#!/usr/bin/env bash
# Runs every check, reports how long each took, and stops at the first that fails. The models and
# fuzz targets (models.sh) run at the same time, in separate target folders, so neither side waits
# for the other's compiler.
#
#     ci/all.sh          skips models that passed on the same sources before (models.sh)
#     ci/all.sh again    everything
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/step.sh

# All workspaces compile to one folder and share the dependencies of the same version. A build from
# nothing needs neither what makes the next one faster nor the lines of a debugger: a panic names its
# line without them.
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target"
CARGO_TARGET_DIR=$(cd "$target" && pwd)
export CARGO_TARGET_DIR CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0

ci/tools.sh
said=$(mktemp)
set -m # puts the models into a process group, which ends with this script
ci/models.sh "$@" >"$said" 2>&1 &
models=$!
set +m
trap 'kill -- -$models 2>/dev/null || true; rm -f "$said"' EXIT

step ci/fmt.sh
step ci/clippy.sh
step ci/features.sh
step ci/msrv.sh
step ci/platforms.sh
step ci/package.sh
step ci/doc.sh
step ci/test.sh
step ci/stream.sh
step ci/catchers.sh
step ci/examples.sh
step ci/man.sh
step ci/report.sh
step ci/readme.sh
step ci/capi.sh
step ci/aio.sh
step ci/nats.sh
step ci/instructions.sh
step ci/comparison.sh

failed=0
wait "$models" || failed=$?
cat "$said"
[ "$failed" = 0 ] || { echo 'ci/models.sh failed, see above' >&2; exit 1; }
printf '\nall checks passed in %d s\n' "$SECONDS"
