#!/usr/bin/env bash
# The test command of the README: all tests and all examples of the documentation, compiled once, with all features.
# (ci/features.sh compiles the library with each feature alone, and without any.)
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --workspace --all-features --locked
