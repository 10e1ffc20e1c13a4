#!/usr/bin/env bash
# The code is formatted.
set -euo pipefail
cd "$(dirname "$0")/.."
rustup component add rustfmt 2>/dev/null || true # present on most machines; the check below tells
cargo fmt --all --check
(cd benches/comparison && cargo fmt --check)
(cd fuzz && cargo fmt --check)
(cd shuttle-tests && cargo fmt --check)
cd loom-tests && cargo fmt --check
