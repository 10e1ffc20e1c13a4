#!/usr/bin/env bash
# Runs the test command of the README: all tests and all examples in the documentation, compiled
# once with all features. (ci/features.sh compiles the library without features and with each
# feature alone.)
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --workspace --all-features --locked
