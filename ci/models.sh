#!/usr/bin/env bash
# Runs the model checkers, the mutants and the fuzz targets. On the same sources they have the same
# result, so a suite that passed runs again only if a file that it compiles, or the compiler, has
# changed. The target folder records what passed, so a fresh clone runs all suites.
#
#     ci/models.sh          runs suites whose sources have changed
#     ci/models.sh again    runs everything
set -euo pipefail
cd "$(dirname "$0")/.."
. ci/step.sh
notes=${CARGO_TARGET_DIR:-target}/passed
mkdir -p "$notes"
notes=$(cd "$notes" && pwd)
# A separate target folder: cargo locks the folder of the other checks while it compiles.
[ -z "${CARGO_TARGET_DIR:-}" ] || export CARGO_TARGET_DIR=$CARGO_TARGET_DIR/models
[ "${1:-}" != again ] || rm -f "$notes"/*

# $1: a script of this folder; the rest: its sources besides the library. Models have no optional
# features, so neither the integrations nor log rotation are compiled for them.
suite() {
    local script=$1 sources
    sources=$({
        rustc --version
        find "$@" src Cargo.toml \( -name target -o -path src/integrations \) -prune \
            -o -type f -print0 | sort -z | xargs -0 sha256sum
    } | sha256sum)
    if [ "$sources" = "$(cat "$notes/${script##*/}" 2>/dev/null)" ]; then
        printf '\n=== %s: passed on the same sources before\n' "$script"
    else
        step "$script"
        echo "$sources" >"$notes/${script##*/}"
    fi
}

suite ci/loom.sh loom-tests
suite ci/mutants.sh loom-tests
suite ci/shuttle.sh shuttle-tests
suite ci/proof.sh proof
suite ci/fuzz.sh fuzz tests/model tests/common
