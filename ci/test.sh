#!/usr/bin/env bash
# The test command of the README, and what is not in it without features.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --workspace --locked
cargo test -p alq --locked --features gzip,zstd --lib rotate
cargo test -p alq --locked --features gzip,zstd --test rotate --test rotate_kill --test rotate_trouble
cargo test -p alq --locked --features gzip,zstd --doc rotate
