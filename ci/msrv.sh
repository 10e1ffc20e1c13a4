#!/usr/bin/env bash
# Checks that the library, the tool and the C libraries compile with the oldest promised Rust
# (rust-version in Cargo.toml), and so do their tests. Only the test of the public interface needs a
# newer one.
set -euo pipefail
cd "$(dirname "$0")/.."
version=$(sed -n 's/^rust-version = "\(.*\)"$/\1/p' Cargo.toml)
if ! rustup run "$version" rustc --version 2>/dev/null &&
    ! rustup toolchain install "$version" --profile minimal --no-self-update >/dev/null 2>&1; then
    echo "Rust $version cannot be installed here: only clippy checks for later calls of the standard library"
    exit 0
fi
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/msrv RUSTFLAGS='--cfg alq_msrv' \
    cargo "+$version" check --workspace --tests --all-features --locked
