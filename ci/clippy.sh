#!/usr/bin/env bash
# Checks the lints of Cargo.toml everywhere, also in the configuration for the model checkers.
set -euo pipefail
cd "$(dirname "$0")/.."
rustup component add clippy 2>/dev/null || true
cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
cargo clippy -p alq --no-default-features --locked -- -D warnings
(cd fuzz && cargo clippy --all-targets --no-default-features --locked -- -D warnings)
(cd shuttle-tests && cargo clippy --all-targets --locked -- -D warnings)
(cd proof && cargo clippy --all-targets --locked -- -D warnings)
(cd benches/comparison && cargo clippy --workspace --all-targets --locked -- -D warnings)
cd loom-tests && cargo clippy --all-targets --locked -- -D warnings
