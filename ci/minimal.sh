#!/usr/bin/env bash
# The versions that Cargo.toml asks of the library's dependencies are enough: it compiles with the oldest of each. In a copy of
# the library alone.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "${CARGO_TARGET_DIR:-target}"
target=$(cd "${CARGO_TARGET_DIR:-target}" && pwd)
cp -r src docs README.md "$work"
awk '/^\[/ { skip = /^\[(\[|dev-dependencies|target)/ } # no targets, and none of the model checkers
    /^(default-)?members = / { $0 = substr($0, 1, index($0, "=")) " [\".\"]" }
    !skip' Cargo.toml >"$work/Cargo.toml"
cd "$work"
export RUSTC_BOOTSTRAP=1 # for `-Z` on any toolchain
cargo update --quiet -Z direct-minimal-versions
cargo tree --edges normal --depth 1 --all-features --locked
unset RUSTC_BOOTSTRAP
CARGO_TARGET_DIR=$target/minimal cargo check -p alq --all-features --locked
