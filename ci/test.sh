#!/usr/bin/env bash
# The test command of the README, and the features: each by itself, and all together.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --workspace --locked
for feature in log metrics tokio tracing; do
    cargo check --locked -p alq --lib --features "$feature"
done
cargo test --locked -p alq --all-features --test 'integration_*'
cargo test --locked -p alq --all-features --doc
