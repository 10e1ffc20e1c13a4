#!/usr/bin/env bash
# Checks that the library compiles without warnings without features and with each feature alone.
# ci/clippy.sh covers all features together, with more lints.
set -euo pipefail
cd "$(dirname "$0")/.."
features=$(awk '/^\[/ { inside = $0 == "[features]" } inside && /^[a-z]/ { print $1 }' Cargo.toml)
for feature in '' $features; do
    echo "features: ${feature:-none}"
    cargo rustc --quiet -p alq --lib --no-default-features --features "$feature" --locked --profile check -- -D warnings
done
