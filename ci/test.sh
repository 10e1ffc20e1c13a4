#!/usr/bin/env bash
# Runs what the test command of the README runs: all tests and all examples in the documentation,
# compiled once with all features. (ci/features.sh compiles the library without features and with
# each feature alone.) With cargo-nextest, the tests of all programs run side by side.
set -euo pipefail
cd "$(dirname "$0")/.."
if cargo nextest --version >/dev/null 2>&1; then
    cargo nextest run --workspace --all-features --locked
    cargo test --workspace --all-features --locked --doc
else
    cargo test --workspace --all-features --locked
fi
