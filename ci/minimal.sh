#!/usr/bin/env bash
# Checks that the library compiles with the oldest versions of its dependencies that Cargo.toml
# allows, in a copy of the library alone.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
cp -r src docs README.md "$work"
awk '/^\[/ { skip = /^\[(\[|dev-dependencies|target)/ } # without targets and model checkers
    /^(default-)?members = / { $0 = substr($0, 1, index($0, "=")) " [\".\"]" }
    !skip' Cargo.toml >"$work/Cargo.toml"
cd "$work"
export RUSTC_BOOTSTRAP=1 # allows `-Z` on any toolchain
cargo update --quiet -Z direct-minimal-versions
cargo tree --edges normal --depth 1 --all-features --locked
unset RUSTC_BOOTSTRAP
CARGO_TARGET_DIR=$target/minimal cargo check -p alq --all-features --locked
