#!/usr/bin/env bash
# The library compiles, without a warning, without features, and with each of them alone; ci/clippy.sh has all of them together.
set -euo pipefail
cd "$(dirname "$0")/.."
features=$(awk '/^\[/ { inside = $0 == "[features]" } inside && /^[a-z]/ { print $1 }' Cargo.toml)
for feature in '' $features; do
    echo "features: ${feature:-none}"
    cargo clippy --quiet -p alq --lib --no-default-features --features "$feature" --locked -- -D warnings
done
