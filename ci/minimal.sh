#!/usr/bin/env bash
# The versions that Cargo.toml names are enough: it compiles with the oldest of each. In a copy, which has a Cargo.lock of its own.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
target=$(mkdir -p "${CARGO_TARGET_DIR:-target}" && cd "${CARGO_TARGET_DIR:-target}" && pwd)
git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t "$work"
cd "$work"
export RUSTC_BOOTSTRAP=1 # `-Z` is there, and its answer is the same, on every toolchain
cargo update --quiet -Z direct-minimal-versions
CARGO_TARGET_DIR=$target/minimal cargo check --workspace --all-targets --all-features --locked
