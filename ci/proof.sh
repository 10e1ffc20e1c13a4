#!/usr/bin/env bash
# Explores the models of crashes (proof/), and the C twins of the ring's protocols with GenMC, which
# has nothing in common with loom. Without GenMC it says so and skips the twins.
#
#     ci/proof.sh         the models of crashes, and the twins that take seconds
#     ci/proof.sh long    all twins: minutes
#
# GENMC names the program; otherwise the one of ci/install-genmc.sh, or the one in PATH.
set -euo pipefail
cd "$(dirname "$0")/.."
(cd proof && cargo test --release --locked -- --nocapture)

built=$PWD/${CARGO_TARGET_DIR:-target}/genmc/genmc
[ -n "${GENMC:-}" ] || { [ -x "$built" ] && GENMC=$built; } || GENMC=$(command -v genmc || true)
if [ -z "$GENMC" ]; then
    echo 'GenMC is missing, so the twins in proof/genmc are not explored: ci/install-genmc.sh'
    exit
fi
export GENMC
if [ "${1:-}" = long ]; then
    proof/genmc/run.sh
else
    cd proof/genmc
    # The slow ones say so in their heads.
    grep -L '^// slow' ./*.c | xargs ./run.sh
fi
