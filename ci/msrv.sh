#!/usr/bin/env bash
# Checks that the library compiles with the oldest promised Rust (rust-version in Cargo.toml).
#
#     ci/msrv.sh          the library
#     ci/msrv.sh all      also the tool and the C libraries
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
what=(-p alq --lib)
if [ "${1:-}" = all ]; then
    what=(--workspace)
fi
if ! rustup run "$version" rustc --version 2>/dev/null &&
    ! rustup toolchain install "$version" --profile minimal --no-self-update >/dev/null 2>&1; then
    echo "Rust $version cannot be installed here: only clippy checks for later calls of the standard library"
    exit 0
fi
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/msrv cargo "+$version" check "${what[@]}" --all-features --locked
