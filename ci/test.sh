#!/usr/bin/env bash
# The test command of the README, and what the features are for. (ci/features.sh compiles each by itself.)
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --workspace --locked
cargo test --locked -p alq --all-features --lib rotate
cargo test --locked -p alq --all-features --test 'integration_*' --test 'rotate*'
cargo test --locked -p alq --all-features --doc
