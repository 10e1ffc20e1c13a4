#!/usr/bin/env bash
# Checks that the code is formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
rustup component add rustfmt 2>/dev/null || true # usually installed; the check below fails if not
cargo fmt --all --check
(cd benches/comparison && cargo fmt --all --check)
(cd fuzz && cargo fmt --check)
(cd shuttle-tests && cargo fmt --check)
(cd proof && cargo fmt --check)
cd loom-tests && cargo fmt --check
